import { expect, test } from "vitest";
import { NO_FILTER, sections } from "../../state/filter";
import { row } from "../../state/rows.fixture";
import { entriesOf, keyOf, step } from "./entries";

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
