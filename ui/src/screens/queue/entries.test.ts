import { expect, test } from "vitest";
import { NO_FILTER, sections } from "../../state/filter";
import { row } from "../../state/rows.fixture";
import { needsWords, progressOf, whyOf } from "./describe";
import { entriesOf, heightOf, keyOf, neighbour, step } from "./entries";

const parts = sections([row({ id: "r", phase: "running" }), row({ id: "f" })], NO_FILTER);

test("headings tell the sections apart, and only there", () => {
  expect(entriesOf(parts, "all").map(keyOf)).toEqual(["#Running", "r", "#Finished", "f"]);
  expect(entriesOf({ ...parts, finished: [] }, "running").map(keyOf)).toEqual(["r"]);
});

test("the keyboard steps over headings and stops at the ends", () => {
  const entries = entriesOf(parts, "all");
  expect(step(entries, -1, 1)).toBe(1);
  expect(step(entries, 1, 1)).toBe(3);
  expect(step(entries, 3, 1)).toBe(3);
  expect(step(entries, 3, -1)).toBe(1);
  expect(step(entries, entries.length, -1)).toBe(3);
  expect(step(entries, 1, -8)).toBe(1);
});

test("where a job was that is gone, its neighbour is chosen", () => {
  const entries = entriesOf(parts, "all");
  expect([0, 1, 2, 3, 4].map((at) => neighbour(entries, at))).toEqual([1, 1, 3, 3, 3]);
  expect(neighbour([], 0)).toBe(-1);
});

test("a failure in words has a line of its own, an exit code needs none", () => {
  const failure = { code: "image-unavailable", message: "The image could not be fetched." };
  const told = row({ reason: "Error", exitCode: null, failure });
  const coded = row({ exitCode: 3, failure });
  expect([whyOf(told), whyOf(coded), whyOf(row({}))]).toEqual([failure.message, null, null]);
  expect(heightOf({ kind: "finished", row: told })).toBeGreaterThan(heightOf({ kind: "finished", row: coded }));
});

test("an image that is pulled tells its bytes and its layers, as far as they are known", () => {
  const live = { step: "image", since: 0, line: "Pulling", done: null, total: null, layers: null, cpu: null, memory: null } as const;
  const told = (known: object) => progressOf({ ...live, memoryLimit: null, tail: null, ...known })?.words;
  expect(told({})).toBe("Pulling");
  expect(told({ layers: { done: 0, total: 0 } })).toBe("Pulling");
  expect(told({ layers: { done: 3, total: 12 } })).toBe("3 of 12 layers");
  expect(told({ done: 1000, total: 2000, layers: { done: 1, total: 1 } })).toBe("1 KB of 2 KB, 1 of 1 layer");
});

test("what a job does not claim is not said", () => {
  expect(needsWords({ cpuMillis: 1000, memory: 0, gpus: 0 })).toBe("1 CPU");
  expect(needsWords({ cpuMillis: 1500, memory: 2 * 1024 ** 3, gpus: 1 })).toBe("1.5 CPUs, 2 GB memory, 1 GPU");
  expect(needsWords({ cpuMillis: 0, memory: 0, gpus: 0 })).toBe("");
});
