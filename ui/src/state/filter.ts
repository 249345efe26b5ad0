// Which jobs the queue shows, and in which order. Pure.

import type { Row } from "../api/types";

export type Outcome = "success" | "failure" | "cancelled";
export type Tab = "all" | "running" | "waiting" | "finished" | "failed";
export type Filter = { tab: Tab; words: string; site: string | null };

export const NO_FILTER: Filter = { tab: "all", words: "", site: null };

export type Sections = { running: Row[]; waiting: Row[]; finished: Row[] };

export function outcome(row: Row): Outcome | null {
  if (row.phase !== "finished") return null;
  if (row.reason === "Success") return (row.exitCode ?? 0) === 0 ? "success" : "failure";
  if (row.reason === "Error" || row.reason === "TimedOut") return "failure";
  return "cancelled";
}

/** Each word has to occur somewhere in what is shown of the job. */
export function matches(row: Row, words: string): boolean {
  if (words === "") return true;
  const shown = [row.image, row.command, row.id, row.failure?.message, ...row.sites, ...row.queues];
  const text = shown.join("\n").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function sections(rows: readonly Row[], filter: Filter): Sections {
  const words = filter.words.trim();
  const shown = rows.filter(
    (row) => (filter.site === null || row.sites.includes(filter.site)) && isIn(row, filter.tab) && matches(row, words),
  );
  const waiting = shown.filter((row) => row.phase === "queued");
  return {
    running: shown.filter((row) => row.phase === "running"),
    waiting: waiting.sort((a, b) => place(a) - place(b) || a.queuedAt - b.queuedAt),
    finished: shown.filter((row) => row.phase === "finished").sort((a, b) => ended(b) - ended(a)),
  };
}

export function sitesOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => row.sites))].sort();
}

function isIn(row: Row, tab: Tab): boolean {
  switch (tab) {
    case "all":
      return true;
    case "running":
      return row.phase === "running";
    case "waiting":
      return row.phase === "queued";
    case "finished":
      return row.phase === "finished";
    case "failed":
      return outcome(row) === "failure";
  }
}

const place = (row: Row) => row.waiting?.place ?? Number.MAX_SAFE_INTEGER;
const ended = (row: Row) => row.endedAt ?? row.queuedAt;
