// Finding words in a log, and where to draw the marks. Pure.

import type { Piece } from "./ansi";

export type MarkedPiece = Piece & { isMarked: boolean };

/** The numbers of the lines that hold the words, at most `most`. */
export function findLines(lines: ArrayLike<string>, words: string, most: number): number[] {
  const wanted = words.toLowerCase();
  const found: number[] = [];
  if (wanted === "") return found;
  for (let at = 0; at < lines.length && found.length < most; at += 1) {
    if ((lines[at] ?? "").toLowerCase().includes(wanted)) found.push(at);
  }
  return found;
}

/** Cuts the pieces of a line where the words begin and end, also when colours change inside a word. */
export function markPieces(pieces: readonly Piece[], words: string): MarkedPiece[] {
  const line = pieces.map((piece) => piece.text).join("");
  const ranges = rangesOf(line.toLowerCase(), words.toLowerCase());
  if (ranges.length === 0) return pieces.map((piece) => ({ ...piece, isMarked: false }));
  const marked: MarkedPiece[] = [];
  let start = 0;
  for (const piece of pieces) {
    const end = start + piece.text.length;
    for (const [from, to] of cuts(start, end, ranges)) {
      const isMarked = ranges.some(([first, last]) => from >= first && to <= last);
      marked.push({ ...piece, text: line.slice(from, to), isMarked });
    }
    start = end;
  }
  return marked;
}

function rangesOf(line: string, words: string): [number, number][] {
  const ranges: [number, number][] = [];
  if (words === "") return ranges;
  for (let at = line.indexOf(words); at >= 0; at = line.indexOf(words, at + words.length)) {
    ranges.push([at, at + words.length]);
  }
  return ranges;
}

function cuts(start: number, end: number, ranges: [number, number][]): [number, number][] {
  const inside = ranges.flat().filter((at) => at > start && at < end);
  const edges = [...new Set([start, ...inside, end])].sort((a, b) => a - b);
  return edges.slice(1).map((to, at) => [edges[at] ?? start, to]);
}
