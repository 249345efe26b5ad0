// The queue as one list: headings and rows, with their heights. Pure.

import type { Row } from "../../api/types";
import type { Sections, Tab } from "../../state/filter";
import { text } from "../../text";
import { whyOf } from "./describe";

export type Entry = { kind: "heading"; title: string; count: number } | { kind: keyof Sections; row: Row };

const HEIGHTS: Record<Entry["kind"], number> = { heading: 40, running: 108, waiting: 60, finished: 56 };

/** A failure has a line of its own. */
const WHY = 22;

export function heightOf(entry: Entry): number {
  const hasWhy = entry.kind === "finished" && whyOf(entry.row) !== null;
  return HEIGHTS[entry.kind] + (hasWhy ? WHY : 0);
}

export const keyOf = (entry: Entry) => (entry.kind === "heading" ? `#${entry.title}` : entry.row.id);

/** Headings only where there is something to tell apart. */
export function entriesOf(sections: Sections, tab: Tab): Entry[] {
  const list: Entry[] = [];
  for (const kind of ["running", "waiting", "finished"] as const) {
    const rows = sections[kind];
    if (rows.length === 0) continue;
    if (tab === "all") list.push({ kind: "heading", title: text.queue.tabs[kind], count: rows.length });
    for (const row of rows) list.push({ kind, row });
  }
  return list;
}

/** The job at `at`, else the next one, else the one before; where a job was that is gone. */
export function neighbour(entries: readonly Entry[], at: number): number {
  const from = Math.max(0, at);
  const next = entries.findIndex((entry, place) => place >= from && entry.kind !== "heading");
  return next >= 0 ? next : entries.findLastIndex((entry) => entry.kind !== "heading");
}

/** The entry that the keyboard goes to from `at`: the next job in that direction, or `at` itself at the end. */
export function step(entries: readonly Entry[], at: number, by: number): number {
  let left = Math.abs(by);
  let place = at;
  for (let next = at + Math.sign(by); left > 0 && next >= 0 && next < entries.length; next += Math.sign(by)) {
    if (entries[next]?.kind === "heading") continue;
    place = next;
    left -= 1;
  }
  return place;
}
