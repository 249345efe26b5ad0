import { describe, expect, test } from "vitest";
import { ago, bytes, cpus, DAY, memory, share, span, ticking } from "./quantity";

describe("sizes", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1 KB"],
    [1536, "1.5 KB"],
    [12_000, "12 KB"],
    [340e6, "340 MB"],
    [999.6e6, "1 GB"],
    [1.21e9, "1.2 GB"],
    [12.34e9, "12.3 GB"],
    [20e9, "20 GB"],
    [5000e12, "5000 TB"],
  ])("%d bytes read as %s", (amount, words) => expect(bytes(amount)).toBe(words));

  test.each([
    [512 * 1024 ** 2, "512 MB"],
    [2 * 1024 ** 3, "2 GB"],
    [1000, "0.98 KB"],
  ])("%d bytes of memory read as %s", (amount, words) => expect(memory(amount)).toBe(words));
});

describe("spans of time", () => {
  test.each([
    [4, "0 s"],
    [12, "0.01 s"],
    [420, "0.4 s"],
    [3420, "3.4 s"],
    [12_900, "12 s"],
    [185_000, "3 min 5 s"],
    [120_000, "2 min"],
    [7_800_000, "2 h 10 min"],
    [3 * DAY + 4 * 3_600_000, "3 d 4 h"],
    [-5, "0 s"],
  ])("%d ms read as %s", (time, words) => expect(span(time)).toBe(words));

  test("a clock that ticks shows whole seconds", () => {
    expect([ticking(3900), ticking(12_900)]).toEqual(["3 s", "12 s"]);
  });
});

describe("how long ago", () => {
  const now = new Date(2026, 10, 22, 15, 0).getTime();
  test.each([
    [30_000, "just now"],
    [4 * 60_000, "4 min ago"],
    [2 * 3_600_000, "2 h ago"],
    [DAY, "yesterday"],
    [3 * DAY, "3 days ago"],
    [30 * DAY, "23 Oct"],
    [500 * DAY, "10 Jul 2025"],
  ])("%d ms before reads as %s", (gone, words) => expect(ago(now - gone, now)).toBe(words));
});

test("CPUs show a half, and no zero behind the point", () => {
  expect([cpus(1.5), cpus(2), cpus(12.4)]).toEqual(["1.5", "2", "12"]);
});

test("a share stays between nothing and all, also of nothing", () => {
  expect([share(3, 2), share(-1, 2), share(1, 0), share(1, 4)]).toEqual([1, 0, 0, 0.25]);
});
