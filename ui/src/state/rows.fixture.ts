// A job for tests, with what matters to the test given.

import type { Row } from "../api/types";

export function row(given: Partial<Row>): Row {
  return {
    id: "a",
    phase: "finished",
    reason: "Success",
    queuedAt: 0,
    startedAt: 0,
    endedAt: 0,
    image: "busybox",
    command: "true",
    sites: ["program"],
    queues: ["local"],
    exitCode: 0,
    duration: 0,
    failure: null,
    needs: { cpuMillis: 1000, memory: 0, gpus: 0 },
    waiting: null,
    live: null,
    pinned: false,
    ...given,
  };
}
