import { expect, test } from "vitest";
import { findLines, markPieces } from "./marks";

const piece = (text: string, classes = "") => ({ text, classes, colour: null });

test("lines that hold the words are found, capital or not, up to a limit", () => {
  const lines = ["Error: a", "fine", "an error", "ERROR"];
  expect(findLines(lines, "error", 10)).toEqual([0, 2, 3]);
  expect(findLines(lines, "error", 2)).toEqual([0, 2]);
  expect(findLines(lines, "", 10)).toEqual([]);
});

test("words are cut out of a piece", () => {
  expect(markPieces([piece("an error here")], "error").map(({ text, isMarked }) => [text, isMarked])).toEqual([
    ["an ", false],
    ["error", true],
    [" here", false],
  ]);
});

test("a word that changes colour in the middle is marked in both pieces", () => {
  expect(markPieces([piece("er", "a"), piece("ror!", "b")], "error").map(({ text, classes, isMarked }) => [text, classes, isMarked])).toEqual([
    ["er", "a", true],
    ["ror", "b", true],
    ["!", "b", false],
  ]);
});
