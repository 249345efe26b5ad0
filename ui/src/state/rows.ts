// The jobs as the screens know them: merged from events, newest first. Pure functions over maps.

import type { ChangedJobs, Live, LiveEvent, Row } from "../api/types";

export type Rows = ReadonlyMap<string, Row>;

/** What is known of a running job beyond its row. */
export type Pulse = { live: LiveEvent; cpu: number[]; memory: number[] };
export type Pulses = ReadonlyMap<string, Pulse>;

/** How many points a sparkline keeps. */
const REMEMBERED = 60;

export function rowsOf(jobs: readonly Row[]): Rows {
  return new Map(jobs.map((row) => [row.id, row]));
}

export function mergeJobs(rows: Rows, event: ChangedJobs): Rows {
  const merged = new Map(rows);
  for (const id of event.gone) merged.delete(id);
  for (const row of event.changed) merged.set(row.id, row);
  return merged;
}

export function newestFirst(rows: Rows): Row[] {
  return [...rows.values()].sort((a, b) => b.queuedAt - a.queuedAt || (a.id < b.id ? -1 : 1));
}

export function mergeLive(pulses: Pulses, event: Record<string, LiveEvent>, running: (id: string) => boolean): Pulses {
  const merged = new Map([...pulses].filter(([id]) => running(id)));
  for (const [id, live] of Object.entries(event)) {
    const before = merged.get(id);
    merged.set(id, {
      live,
      cpu: remember(before?.cpu, live.cpu),
      memory: remember(before?.memory, live.memory),
    });
  }
  return merged;
}

/** The newest that is known: events run ahead of rows. */
export function liveOf(row: Row, pulses: Pulses): Live | null {
  if (row.phase !== "running") return null;
  return pulses.get(row.id)?.live ?? row.live;
}

function remember(values: number[] | undefined, value: number | null): number[] {
  if (value === null) return values ?? [];
  return [...(values ?? []), value].slice(-REMEMBERED);
}
