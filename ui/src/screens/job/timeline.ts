// The life of a job as lengths. Pure.

import type { Stage } from "../../api/types";

export type Piece = {
  name: Stage["name"];
  length: number;
  /** Where it begins and how much it takes, in hundredths of the whole. */
  x: number;
  width: number;
  isOpen: boolean;
  note: string | null;
};

/** No stage is so short that it cannot be seen. */
const LEAST = 0.6;

export function piecesOf(timeline: readonly Stage[], now: number): Piece[] {
  const lengths = timeline.map(({ start, end }) => Math.max(0, (end ?? now) - start));
  const longest = lengths.reduce((sum, length) => sum + length, 0) || 1;
  const widths = lengths.map((length) => Math.max(LEAST, (length / longest) * 100));
  const whole = widths.reduce((sum, width) => sum + width, 0) || 1;
  let x = 0;
  return timeline.map(({ name, end, note }, at) => {
    const width = ((widths[at] ?? 0) / whole) * 100;
    x += width;
    return { name, length: lengths[at] ?? 0, x: x - width, width, isOpen: end === null, note };
  });
}
