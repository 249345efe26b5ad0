// Where an arrow key leads among things of which one has the focus. Pure.

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** The place after `at` of `count`, round the ends; `null` for other keys, or where there is nothing. */
export function nextOf(key: string, at: number, count: number): number | null {
  const step = STEPS[key];
  return step === undefined || count === 0 ? null : (at + step + count) % count;
}
