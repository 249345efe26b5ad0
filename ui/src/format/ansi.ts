// A line of a log as pieces with CSS classes. Colours that have no class of ours are given as a colour.

import Anser from "anser";

export type Piece = { text: string; classes: string; colour: string | null };

/** Lines are shown one by one, so colours do not run on from line to line. */
export function piecesOf(line: string): Piece[] {
  const text = afterReturn(line);
  if (!text.includes("\u001b")) return text === "" ? [] : [{ text, classes: "", colour: null }];
  const found = Anser.ansiToJson(withoutControls(text), { json: true, remove_empty: true, use_classes: true });
  return found.map(({ content, fg, bg, fg_truecolor, decorations }) => ({
    text: content,
    classes: [named(fg, "fg"), named(bg, "bg"), ...decorations.map((name) => `ansi-${name}`)].filter(Boolean).join(" "),
    colour: colourOf(fg, fg_truecolor),
  }));
}

export function plainText(line: string): string {
  return afterReturn(line).replace(ESCAPES, "");
}

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Colours stay for Anser; what moves the cursor goes. */
function withoutControls(text: string): string {
  return text.replace(ESCAPES, (found) => (/^\u001b\[[0-9;]*m$/.test(found) ? found : ""));
}

/** A progress bar writes over itself: what a terminal would show in the end is what follows the last return. */
function afterReturn(line: string): string {
  const trimmed = line.replace(/[\r\n]+$/, "");
  const at = trimmed.lastIndexOf("\r");
  return at < 0 ? trimmed : trimmed.slice(at + 1);
}

function named(name: string | null, side: "fg" | "bg"): string {
  return name && /^ansi-(bright-)?[a-z]+$/.test(name) && name !== "ansi-truecolor" ? `${name}-${side}` : "";
}

function colourOf(name: string | null, truecolor: string | null): string | null {
  if (name === "ansi-truecolor" && truecolor) return `rgb(${truecolor})`;
  const index = /^ansi-palette-(\d+)$/.exec(name ?? "")?.[1];
  return index === undefined ? null : paletteColour(Number(index));
}

function paletteColour(index: number): string {
  if (index >= 232) {
    const level = 8 + (index - 232) * 10;
    return `rgb(${level} ${level} ${level})`;
  }
  const at = index - 16;
  const level = (value: number) => (value === 0 ? 0 : 55 + value * 40);
  return `rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`;
}
