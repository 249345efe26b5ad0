// Sizes, times and counts as people read them. Tabular: the same kind of number has the same shape everywhere.

import { DATES, NUMBERS } from "../text/locale";
import { times } from "../text/times";

const UNITS = ["B", "KB", "MB", "GB", "TB"] as const;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Of files and disks, in thousands as disks are sold. */
export function bytes(amount: number): string {
  return sized(amount, 1000);
}

/** Of memory, in powers of 1024 as memory is sold: of a job that may take "2g" people want to read 2 GB. */
export function memory(amount: number): string {
  return sized(amount, 1024);
}

function sized(amount: number, step: number): string {
  let unit = 0;
  let rest = amount;
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= step;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 99.5 ? String(Math.round(rest)) : rest.toPrecision(rest < 9.95 ? 2 : 3);
  return `${digits.replace(/\.0$/, "")} ${UNITS[unit]}`;
}

export function cpus(count: number): string {
  return count >= 10 || Number.isInteger(count) ? count.toFixed(0) : count.toFixed(1);
}

export function count(amount: number): string {
  return amount.toLocaleString(NUMBERS);
}

/** How long something took: two units at most, "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". */
export function span(ms: number): string {
  const time = Math.max(0, ms);
  if (time < SECOND / 200) return "0 s";
  if (time < SECOND) return `${(time / SECOND).toFixed(time < 100 ? 2 : 1)} s`;
  if (time < 10 * SECOND) return `${(Math.floor(time / 100) / 10).toFixed(1)} s`;
  if (time < MINUTE) return `${Math.floor(time / SECOND)} s`;
  if (time < HOUR) return two(time, MINUTE, "min", SECOND, "s");
  if (time < DAY) return two(time, HOUR, "h", MINUTE, "min");
  return two(time, DAY, "d", HOUR, "h");
}

/** The same for a clock that ticks: no fractions, so that it does not flicker. */
export function ticking(ms: number): string {
  return ms < 10 * SECOND ? `${Math.max(0, Math.floor(ms / SECOND))} s` : span(ms);
}

function two(time: number, large: number, largeName: string, small: number, smallName: string): string {
  const whole = Math.floor(time / large);
  const rest = Math.floor((time % large) / small);
  return rest === 0 ? `${whole} ${largeName}` : `${whole} ${largeName} ${rest} ${smallName}`;
}

/** "just now", "4 min ago", "2 h ago", "yesterday", "12 Mar", "12 Mar 2024". */
export function ago(then: number, now: number): string {
  const gone = now - then;
  if (gone < MINUTE) return times.justNow;
  if (gone < HOUR) return times.minutesAgo(Math.floor(gone / MINUTE));
  if (gone < 12 * HOUR || isSameDay(then, now)) return times.hoursAgo(Math.floor(gone / HOUR));
  if (isSameDay(then, now - DAY)) return times.yesterday;
  if (gone < 7 * DAY) return times.daysAgo(Math.floor(gone / DAY));
  return day(then, now);
}

export function day(then: number, now: number): string {
  const isThisYear = new Date(then).getFullYear() === new Date(now).getFullYear();
  const shape: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };
  return new Date(then).toLocaleDateString(DATES, isThisYear ? shape : { ...shape, year: "numeric" });
}

export function moment(then: number): string {
  return new Date(then).toLocaleString(DATES, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

export function clock(then: number): string {
  return new Date(then).toLocaleTimeString(DATES);
}

export function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;
}

function isSameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}
