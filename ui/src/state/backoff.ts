// How long to wait before trying again: soon at first, then more seldom.

const FIRST = 500;
const MOST = 15_000;

export function pause(attempt: number): number {
  return Math.min(MOST, FIRST * 2 ** Math.min(attempt, 10));
}
