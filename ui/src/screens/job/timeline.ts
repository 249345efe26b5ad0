// The life of a job as lengths. Pure.

import type { Stage } from "../../api/types";

export type Piece = { name: Stage["name"]; length: number; weight: number; isOpen: boolean; note: string | null };

/** No stage is so short that it cannot be seen: each weighs at least this share of the whole. */
const LEAST = 0.045;

export function piecesOf(timeline: readonly Stage[], now: number): Piece[] {
  const lengths = timeline.map(({ start, end }) => Math.max(0, (end ?? now) - start));
  const whole = lengths.reduce((sum, length) => sum + length, 0) || 1;
  return timeline.map(({ name, end, note }, at) => {
    const length = lengths[at] ?? 0;
    return { name, length, weight: Math.max(LEAST, length / whole), isOpen: end === null, note };
  });
}
