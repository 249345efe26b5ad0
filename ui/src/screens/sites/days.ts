// Days as the API gives them, "2026-11-22", in words.

import { ago, DAY, day } from "../../format/quantity";
import { times } from "../../text/times";

export function dayWords(date: string, now = Date.now()): string {
  const then = new Date(`${date}T12:00:00`).getTime();
  if (Number.isNaN(then)) return date;
  if (new Date(then).toDateString() === new Date(now).toDateString()) return times.today;
  if (now - then < 7 * DAY) return ago(Math.min(then, now - DAY), now);
  return day(then, now);
}
