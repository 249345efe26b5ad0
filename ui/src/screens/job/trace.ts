// The use of CPU and memory over a run, for plots and in a few numbers. Pure.

import type { Trace } from "../../api/types";

export type Curve = { times: number[]; values: number[]; most: number; mean: number };

/** Times in seconds since the start. */
export function curveOf(trace: Trace, values: readonly number[]): Curve {
  return {
    times: values.map((_, at) => (at * trace.every) / 1000),
    values: [...values],
    most: values.reduce((most, value) => Math.max(most, value), 0),
    mean: values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}

