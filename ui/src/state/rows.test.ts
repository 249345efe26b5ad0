import { describe, expect, test } from "vitest";
import type { LiveEvent, Row } from "../api/types";
import { liveOf, mergeJobs, mergeLive, newestFirst, rowsOf } from "./rows";
import { row } from "./rows.fixture";

const live = (cpu: number | null): LiveEvent => ({
  step: "run",
  since: 0,
  line: null,
  done: null,
  total: null,
  layers: null,
  cpu,
  memory: null,
  memoryLimit: null,
  tail: null,
  lines: 3,
  buildLines: 0,
});

describe("merging what changed", () => {
  test("changed rows replace, new rows come, gone rows go, the others stay the same objects", () => {
    const rows = rowsOf([row({ id: "a" }), row({ id: "b" }), row({ id: "c" })]);
    const merged = mergeJobs(rows, { changed: [row({ id: "b", phase: "running" }), row({ id: "d" })], gone: ["c"] });
    expect([...merged.keys()]).toEqual(["a", "b", "d"]);
    expect(merged.get("b")?.phase).toBe("running");
    expect(merged.get("a")).toBe(rows.get("a"));
    expect(rows.size).toBe(3);
  });

  test("a row that is told as gone and changed at once is there", () => {
    const merged = mergeJobs(rowsOf([row({ id: "a" })]), { changed: [row({ id: "a", exitCode: 3 })], gone: ["a"] });
    expect(merged.get("a")?.exitCode).toBe(3);
  });

  test("newest first, and always in the same order", () => {
    const rows = rowsOf([row({ id: "b", queuedAt: 1 }), row({ id: "a", queuedAt: 1 }), row({ id: "c", queuedAt: 2 })]);
    expect(newestFirst(rows).map(({ id }) => id)).toEqual(["c", "a", "b"]);
  });
});

describe("live numbers", () => {
  const running: Row = row({ id: "a", phase: "running" });

  test("are remembered for the sparkline, a minute at most", () => {
    let pulses = mergeLive(new Map(), { a: live(1) }, () => true);
    for (let at = 0; at < 100; at += 1) pulses = mergeLive(pulses, { a: live(at) }, () => true);
    expect(pulses.get("a")?.cpu).toHaveLength(60);
    expect(pulses.get("a")?.cpu.at(-1)).toBe(99);
  });

  test("of jobs that no longer run are forgotten", () => {
    const pulses = mergeLive(new Map(), { a: live(1) }, () => true);
    expect(mergeLive(pulses, {}, () => false).size).toBe(0);
  });

  test("an unknown number adds no point", () => {
    expect(mergeLive(new Map(), { a: live(null) }, () => true).get("a")?.cpu).toEqual([]);
  });

  test("are shown only while the job runs", () => {
    const pulses = mergeLive(new Map(), { a: live(1) }, () => true);
    expect(liveOf(running, pulses)?.cpu).toBe(1);
    expect(liveOf({ ...running, phase: "finished" }, pulses)).toBeNull();
  });
});
