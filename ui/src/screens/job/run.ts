// Which run of a job something belongs to. Pure. "Run again" keeps the id of the job, and so does a run that was lost.

import type { Row } from "../../api/types";

export function runOf({ queuedAt, startedAt }: Row): string {
  return `${queuedAt}/${startedAt ?? ""}`;
}
