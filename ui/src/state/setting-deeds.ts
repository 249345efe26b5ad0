// Changing settings with a way back, from whichever screen.

import type { Changes } from "../api/types";
import { text } from "../text";
import type { App } from "./app.svelte";

const TIME_TO_UNDO = 8_000;
/** A little less than the server waits before it keeps to a smaller limit of the cache: it does not wait for who reads. */
const TIME_TO_KEEP_THE_CACHE = 10_000;

/** Throws what the server says against a value. */
export async function changeSetting(app: App, changes: Changes, words: string): Promise<void> {
  const undo = await app.client.change(changes);
  const back = () => {
    void app.attempt(async () => {
      await app.client.change(undo);
      app.changes.settings += 1;
      app.changes.cache += 1;
      app.toasts.say(text.settings.undone);
    });
  };
  if ("cache_limit" in changes) app.toasts.undoable(words, text.undo, Date.now() + TIME_TO_KEEP_THE_CACHE, back);
  else app.toasts.reversible(words, text.undo, TIME_TO_UNDO, back);
}
