// The measures of a table, and what a plot needs of it. Pure.

import type { Table } from "../../format/csv";

const LEAST = 5;
const MOST = 32;
const SAMPLED = 200;

/** Widths in letters: what the first rows need, within reason. */
export function widthsOf(table: Table): { columns: number[]; whole: number } {
  const columns = table.columns.map((name, at) => {
    const cells = table.rows.slice(0, SAMPLED).map((row) => row[at]?.length ?? 0);
    return Math.min(MOST, Math.max(LEAST, name.length + 1, ...cells));
  });
  const padding = 4;
  return { columns, whole: columns.reduce((sum, width) => sum + width + padding, 8) };
}

type Values = (number | null)[];

/** uPlot wants rising values across: rows without one go, and lines are drawn from left to right. */
export function linesOf(x: Values, ys: Values[], isLine: boolean): [number[], ...Values[]] {
  const rows = x.map((value, at) => ({ value, at })).filter((row): row is { value: number; at: number } => row.value !== null);
  const isRising = rows.every(({ value }, at) => at === 0 || value >= (rows[at - 1]?.value ?? value));
  if (!isRising || !isLine) rows.sort((a, b) => a.value - b.value);
  return [rows.map(({ value }) => value), ...ys.map((y) => rows.map(({ at }) => y[at] ?? null))];
}
