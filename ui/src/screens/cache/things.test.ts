import { describe, expect, test } from "vitest";
import type { Cache, CacheItem, Certainty } from "../../api/types";
import { arrange, freedWords, goingAt, limitAt, named, stepOf, STEPS } from "./things";
import { treemap } from "./treemap";

const item = (given: Partial<CacheItem>): CacheItem => ({
  kind: "blob",
  id: "a",
  name: "a",
  bytes: 1,
  lastUsed: null,
  pinned: false,
  jobs: [],
  jobCount: 0,
  origin: null,
  isDeletable: true,
  why: null,
  ...given,
});

test("what jobs left is named as in the queue", () => {
  const cache = { items: [item({ name: "sh -c 'make all'" }), item({ name: "lab/fit:2" })] } as Cache;
  expect(named(cache).items.map(({ name }) => name)).toEqual(["make all", "lab/fit:2"]);
});

test("what becomes free is told for each place where something does", () => {
  const words = (disk: number, engine: number, certainty: Certainty = "exact") =>
    freedWords({ disk, engine, certainty }, (bytes) => `${bytes} B`);
  expect(words(5, 0)).toBe("5 B on this disk");
  expect(words(0, 7)).toBe("7 B inside the engine");
  expect(words(5, 7, "atLeast")).toBe("5 B on this disk and at least 7 B inside the engine");
  expect(words(0, 7, "about")).toBe("about 7 B inside the engine");
});

test("a lower limit says what has to go, a higher one never does", () => {
  const cache = {
    disk: { total: 100, free: 50, used: 30 },
    limit: { bytes: 40, isDefault: false, most: 80, usual: 10 },
  };
  expect([20, 30, 35, 50].map((bytes) => goingAt(cache, bytes))).toEqual([10, 0, 0, 0]);
  expect(goingAt({ ...cache, limit: { ...cache.limit, bytes: 20 } }, 25)).toBe(0);
});

describe("the table", () => {
  const items = [item({ id: "1", name: "b", bytes: 2 }), item({ id: "2", name: "a", bytes: 3, kind: "log" }), item({ id: "3", name: "c" })];
  const ids = (list: CacheItem[]) => list.map(({ id }) => id);

  test("is sorted by a column, up or down", () => {
    expect(ids(arrange(items, "", null, { column: "bytes", isDown: true }))).toEqual(["2", "1", "3"]);
    expect(ids(arrange(items, "", null, { column: "name", isDown: false }))).toEqual(["2", "1", "3"]);
  });

  test("shows what has the kind and the words", () => {
    expect(ids(arrange(items, "", "log", { column: "bytes", isDown: true }))).toEqual(["2"]);
    expect(ids(arrange(items, " C ", null, { column: "bytes", isDown: true }))).toEqual(["3"]);
  });
});

describe("the slider of the limit", () => {
  const most = 400 * 1e9;

  test("begins at a gigabyte and ends at the most", () => {
    expect([limitAt(0, most), limitAt(STEPS, most)]).toEqual([1e9, most]);
  });

  test("stands where a limit was set with it", () => {
    for (let step = 20; step <= STEPS; step += 10) expect(Math.abs(stepOf(limitAt(step, most), most) - step)).toBeLessThanOrEqual(1);
  });

  test("does not break on a disk that is nearly full", () => {
    expect(limitAt(50, 1000)).toBe(1e9);
    expect(stepOf(5, 1000)).toBe(STEPS);
  });
});

describe("the picture", () => {
  test("fills the space with areas as large as the sizes, and nothing overlaps the edge", () => {
    const boxes = treemap([6, 6, 4, 3, 2, 2, 1], (size) => size, 600, 400);
    const scale = (600 * 400) / 24;
    for (const { item: size, x, y, width, height } of boxes) {
      expect(width * height).toBeCloseTo(size * scale, 3);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(600.001);
      expect(y + height).toBeLessThanOrEqual(400.001);
    }
  });

  test("of nothing, or without space, is empty", () => {
    expect(treemap([0, 0], (size) => size, 100, 100)).toEqual([]);
    expect(treemap([1], (size) => size, 0, 100)).toEqual([]);
  });
});
