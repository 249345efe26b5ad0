// The use of CPU and memory over a run, for plots and in a few numbers. Pure.

import type { Trace } from "../../api/types";

/** Round times in seconds and round sizes in bytes, for the marks of the axes. */
export const TIMES = [0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
export const SIZES = Array.from({ length: 31 }, (_, at) => 2 ** (10 + at));

/** A time on the axis of a run of `longest` seconds: "0.5 s", "1:10", "2:05 h". All marks of a run are alike. */
export function markOf(seconds: number, longest: number): string {
  if (longest < 60) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(longest < 3600 ? seconds : seconds / 60);
  const words = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return longest < 3600 ? words : `${words} h`;
}

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

