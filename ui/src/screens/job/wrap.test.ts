import { expect, test } from "vitest";
import { rowsOf, widthOf } from "./wrap";

test.each([
  ["", 0],
  ["plain", 5],
  ["häuser", 6],
  ["\t", 8],
  ["███░░", 5],
  ["日本", 4],
])("%j is as wide as %d letters, or less", (line, width) => expect(widthOf(line)).toBe(width));

test("a line takes as many rows as it needs, and one when it is empty", () => {
  expect([rowsOf(0, 10), rowsOf(10, 10), rowsOf(11, 10), rowsOf(400, 80)]).toEqual([1, 1, 2, 5]);
  expect(rowsOf(5, 0)).toBe(1);
});
