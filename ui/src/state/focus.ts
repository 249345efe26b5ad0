// Where the keyboard goes when what had the focus is gone: to the main list of the screen, else to the screen.

import { tick } from "svelte";

/** Marks the list of a screen. */
export const MAIN = { "data-main": "" };

export async function focusScreen(): Promise<void> {
  await tick();
  const { activeElement: has } = document;
  const screen = document.getElementById("content");
  if (has !== null && has !== document.body && has !== screen) return;
  (screen?.querySelector<HTMLElement>("[data-main]") ?? screen)?.focus({ preventScroll: true });
}
