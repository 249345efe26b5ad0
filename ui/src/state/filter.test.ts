import { expect, test } from "vitest";
import { matches, NO_FILTER, outcome, sections, sitesOf } from "./filter";
import { row } from "./rows.fixture";

test("how a job ended is told from its reason and its exit code", () => {
  expect(outcome(row({}))).toBe("success");
  expect(outcome(row({ exitCode: 2 }))).toBe("failure");
  expect(outcome(row({ reason: "Error", exitCode: null }))).toBe("failure");
  expect(outcome(row({ reason: "TimedOut", exitCode: null }))).toBe("failure");
  expect(outcome(row({ reason: "Cancelled", exitCode: null }))).toBe("cancelled");
  expect(outcome(row({ phase: "running", reason: null }))).toBeNull();
});

test("each word has to occur somewhere", () => {
  const job = row({ image: "python:3.12", command: "python fit.py", sites: ["https://metapage.io"] });
  expect(matches(job, "fit metapage")).toBe(true);
  expect(matches(job, "FIT")).toBe(true);
  expect(matches(job, "fit framejs")).toBe(false);
});

test("waiting jobs stand in the order of their turn, finished ones by their end", () => {
  const rows = [
    row({ id: "w2", phase: "queued", waiting: { place: 2, why: "" } }),
    row({ id: "w1", phase: "queued", waiting: { place: 1, why: "" } }),
    row({ id: "f1", endedAt: 1 }),
    row({ id: "f2", endedAt: 2 }),
    row({ id: "r", phase: "running" }),
  ];
  const { running, waiting, finished } = sections(rows, NO_FILTER);
  expect([running, waiting, finished].map((part) => part.map(({ id }) => id))).toEqual([["r"], ["w1", "w2"], ["f2", "f1"]]);
});

test("tab, site and words are all asked for", () => {
  const rows = [
    row({ id: "a", exitCode: 1, sites: ["https://a.example"] }),
    row({ id: "b", exitCode: 1 }),
    row({ id: "c", sites: ["https://a.example"] }),
  ];
  const shown = sections(rows, { tab: "failed", site: "https://a.example", words: " busybox " });
  expect(shown.finished.map(({ id }) => id)).toEqual(["a"]);
});

test("sites are named once, in order", () => {
  expect(sitesOf([row({ sites: ["b", "a"] }), row({ sites: ["a"] })])).toEqual(["a", "b"]);
});
