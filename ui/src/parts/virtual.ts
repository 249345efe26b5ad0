// Which rows of a long list are in view. Pure; rows may differ in height.

/** Where each row begins, and behind them all where the list ends. */
export function offsetsOf<T>(items: readonly T[], height: (item: T) => number): Float64Array {
  const offsets = new Float64Array(items.length + 1);
  let at = 0;
  items.forEach((item, index) => {
    offsets[index] = at;
    at += height(item);
  });
  offsets[items.length] = at;
  return offsets;
}

/** The first row that reaches below `top`, and the one behind the last above `bottom`. */
export function rangeOf(offsets: Float64Array, top: number, bottom: number, extra: number): [number, number] {
  const rows = offsets.length - 1;
  const first = Math.max(0, search(offsets, top) - extra);
  const last = Math.min(rows, search(offsets, bottom) + 1 + extra);
  return [Math.min(first, rows), last];
}

/** The row that holds `position`. */
function search(offsets: Float64Array, position: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Numbers for the rows that are drawn. A row keeps its number, and with it its elements, as long as it is drawn:
 *  what a person presses or has open in it stays that row's own, whatever comes and goes above it. */
export class Numbered<K> {
  private numbers = new Map<K, number>();
  private next = 0;

  /** The numbers of the rows `keys`, which are all different. With `reuses`, those that come get the numbers of those
   *  that left, and so are drawn with elements that are there already. */
  of(keys: readonly K[], reuses: boolean): number[] {
    const stays = new Set(keys);
    const free = reuses ? [...this.numbers].filter(([key]) => !stays.has(key)).map(([, number]) => number) : [];
    this.numbers = new Map(keys.map((key) => [key, this.numbers.get(key) ?? free.shift() ?? this.next++]));
    return [...this.numbers.values()];
  }
}
