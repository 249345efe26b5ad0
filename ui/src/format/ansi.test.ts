import { expect, test } from "vitest";
import { piecesOf, plainText } from "./ansi";

const ESC = "\u001b";

test("plain text is one piece", () => {
  expect(piecesOf("hello")).toEqual([{ text: "hello", classes: "", colour: null }]);
  expect(piecesOf("")).toEqual([]);
});

test("colours and weight become classes", () => {
  const pieces = piecesOf(`a ${ESC}[1;31mred${ESC}[0m b`);
  expect(pieces.map(({ text, classes }) => [text, classes])).toEqual([
    ["a ", ""],
    ["red", "ansi-red-fg ansi-bold"],
    [" b", ""],
  ]);
});

test("colours beyond the sixteen become a colour", () => {
  expect(piecesOf(`${ESC}[38;5;208mx`)[0]?.colour).toBe("rgb(255 135 0)");
  expect(piecesOf(`${ESC}[38;2;1;2;3mx`)[0]?.colour).toBe("rgb(1, 2, 3)");
});

test("markup in a log is text, not markup", () => {
  expect(piecesOf(`${ESC}[32m<b>&amp;`)[0]?.text).toBe("<b>&amp;");
});

test("what moves the cursor or sets a title is left out", () => {
  expect(plainText(`${ESC}[2K${ESC}]0;title\u0007done${ESC}[0m`)).toBe("done");
  expect(piecesOf(`${ESC}[2Kdone`).map(({ text }) => text)).toEqual(["done"]);
});

test("of a line that was written over, the last state is shown", () => {
  expect(plainText("10 %\r50 %\r100 %\r\n")).toBe("100 %");
});
