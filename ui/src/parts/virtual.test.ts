import { expect, test } from "vitest";
import { Numbered, offsetsOf, rangeOf } from "./virtual";

const offsets = offsetsOf([10, 20, 30, 40], (height) => height);

test("rows begin where those before them end", () => {
  expect([...offsets]).toEqual([0, 10, 30, 60, 100]);
});

test.each([
  [0, 10, [0, 2]],
  [10, 29, [1, 2]],
  [35, 59, [2, 3]],
  [0, 1000, [0, 4]],
  [1000, 2000, [4, 4]],
])("between %d and %d the right rows are in view", (top, bottom, range) => {
  expect(rangeOf(offsets, top, bottom, 0)).toEqual(range);
});

test("a few more than in view are drawn, within the list", () => {
  expect(rangeOf(offsets, 35, 59, 1)).toEqual([1, 4]);
  expect(rangeOf(offsetsOf([], () => 1), 0, 100, 5)).toEqual([0, 0]);
});

test("two hundred thousand rows are measured and found at once", () => {
  const many = offsetsOf(Array.from({ length: 200_000 }, (_, at) => at), () => 20);
  expect(rangeOf(many, 2_000_000, 2_000_400, 0)).toEqual([100_000, 100_021]);
});

test("a row keeps its number while it is drawn, whatever leaves or comes above it", () => {
  const numbered = new Numbered<string>();
  const [, b, c] = numbered.of(["a", "b", "c"], true);
  expect(numbered.of(["b", "c", "d"], true).slice(0, 2)).toEqual([b, c]);
  expect(numbered.of(["new", "b", "c"], true).slice(1)).toEqual([b, c]);
});

test("rows that are scrolled to are drawn with the elements of those that left", () => {
  const numbered = new Numbered<string>();
  const first = numbered.of(["a", "b", "c"], true);
  expect(numbered.of(["d", "e", "f"], true)).toEqual(first);
  expect(numbered.of(["c", "d", "e"], true)).toEqual([2, 0, 1]);
});

test("a row that comes into the list itself never has the elements of one that left", () => {
  const numbered = new Numbered<string>();
  const first = numbered.of(["a", "b", "c"], true);
  const [, , came] = numbered.of(["b", "c", "d"], false);
  expect(first).not.toContain(came);
});
