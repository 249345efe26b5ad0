import { describe, expect, test } from "vitest";
import type { JobFile } from "../../api/types";
import { parseTable } from "../../format/csv";
import { row } from "../../state/rows.fixture";
import { failureOf } from "./failure";
import { nameOf } from "./name";
import { isText, viewOf } from "./preview";
import { linesOf, widthsOf } from "./table";
import { piecesOf } from "./timeline";
import { markOf } from "./trace";

const file = (path: string, type = "application/octet-stream"): JobFile => ({ path, size: 1, hash: null, type, from: null });

describe("how a file is looked at", () => {
  test.each([
    ["plot.SVG", "", "image"],
    ["a/data.csv", "", "table"],
    ["result", "application/geo+json", "json"],
    ["page.htm", "text/plain", "html"],
    ["log", "text/plain; charset=utf-8", "text"],
    ["fit.py", "application/octet-stream", "text"],
    ["weights.bin", "application/octet-stream", "none"],
  ])("%s of type %s as %s", (path, type, view) => expect(viewOf(file(path, type))).toBe(view));

  test("a zero byte tells bytes from text", () => {
    expect(isText(new TextEncoder().encode("häuser"))).toBe(true);
    expect(isText(new Uint8Array([80, 75, 0, 4]))).toBe(false);
  });
});

describe("a failure in words", () => {
  test("a job that went well has none", () => expect(failureOf(row({}))).toBeNull());

  test("says what the server says, and what to do", () => {
    const failure = { code: "disk-failed", message: "The disk is full." };
    expect(failureOf(row({ reason: "Error", exitCode: null, failure }))).toEqual({
      title: "The disk is full.",
      words: null,
      advice: "Make room: delete what you no longer need on the screen Cache.",
    });
  });

  test("its first sentence is its title", () => {
    const said = (message: string) => failureOf(row({ reason: "Error", exitCode: null, failure: { code: "x", message } }));
    const image = 'The image "lab/fit:2.1" could not be fetched: its registry is away. Check the network. It said: no route';
    expect(said(image)?.title).toBe('The image "lab/fit:2.1" could not be fetched: its registry is away.');
    expect(said(image)?.words).toBe("Check the network. It said: no route");
    expect(said("no sentence at all")).toMatchObject({ title: "no sentence at all", words: null });
  });

  test("an exit code that means something is explained", () => {
    expect(failureOf(row({ exitCode: 137 }))?.advice).toContain("memory");
    expect(failureOf(row({ exitCode: 127 }))?.advice).toContain("command");
    expect(failureOf(row({ reason: "TimedOut", exitCode: null }))?.title).toContain("time");
  });
});

describe("the name of a job", () => {
  test("is the tag that the page gave it", () => expect(nameOf({ tags: { name: " Fit of\nrun 7 " } })).toBe("Fit of run 7"));

  test.each([null, "text", {}, { tags: null }, { tags: { name: 7 } }, { tags: { name: " " } }, { tags: { name: "x".repeat(500) } }])(
    "is none in %j",
    (definition) => expect(nameOf(definition)).toBeNull(),
  );
});

describe("the timeline", () => {
  test("is as wide as time went by, and what is short stays visible", () => {
    const pieces = piecesOf(
      [
        { name: "queued", start: 0, end: 1, note: null },
        { name: "run", start: 1, end: null, note: null },
      ],
      100_000,
    );
    expect(pieces[0]?.width).toBeGreaterThan(0.5);
    expect(pieces[1]?.isOpen).toBe(true);
    expect((pieces[1]?.x ?? 0) + (pieces[1]?.width ?? 0)).toBeCloseTo(100);
  });

  test("of a job that took no time at all is not broken", () => {
    expect(piecesOf([{ name: "queued", start: 5, end: 5, note: null }], 5)[0]?.width).toBe(100);
  });
});

describe("the axis of a run", () => {
  test.each([
    [0.5, 2, "0.5 s"],
    [0, 118, "0:00"],
    [70, 118, "1:10"],
    [7500, 9000, "2:05 h"],
  ])("marks %d s of %d s as %s", (seconds, longest, words) => expect(markOf(seconds, longest)).toBe(words));
});

describe("a table for a plot", () => {
  test("lines go from left to right, and rows without a place are left out", () => {
    expect(linesOf([3, null, 1], [[30, 20, 10]], true)).toEqual([
      [1, 3],
      [10, 30],
    ]);
  });

  test("columns are as wide as their words, within reason", () => {
    const { columns } = widthsOf(parseTable(`a,long\n1,${"x".repeat(500)}`, 10));
    expect(columns).toEqual([5, 32]);
  });
});
