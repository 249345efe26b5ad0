import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Toasts } from "./toasts.svelte";

let toasts: Toasts;
const nothing = () => undefined;
const shown = () => toasts.list.map(({ words }) => words);

beforeEach(() => {
  vi.useFakeTimers();
  toasts = new Toasts();
});

afterEach(() => void vi.useRealTimers());

test("a way back is never pushed out by messages", () => {
  toasts.undoable("undo 1", "Undo", Date.now() + 10_000, nothing);
  for (const words of ["a", "b", "c", "d", "e"]) toasts.say(words);
  expect(shown()).toEqual(["undo 1", "c", "d", "e"]);
});

test("nor by other ways back", () => {
  for (const number of [1, 2, 3, 4, 5]) toasts.undoable(`undo ${number}`, "Undo", Date.now() + 10_000, nothing);
  expect(shown()).toHaveLength(5);
});

test("the newest message is seen beside many ways back", () => {
  for (const number of [1, 2, 3, 4]) toasts.undoable(`undo ${number}`, "Undo", Date.now() + 10_000, nothing);
  toasts.warn("problem");
  expect(shown()).toContain("problem");
});

test("what the person reads stays, but no longer than the server keeps a way back open", () => {
  toasts.reversible("changed", "Undo", 8000, nothing);
  toasts.undoable("deleted", "Undo", Date.now() + 10_000, nothing);
  vi.advanceTimersByTime(7000);
  toasts.hold();
  vi.advanceTimersByTime(20_000);
  expect(shown()).toEqual(["changed"]);
  toasts.release();
  vi.advanceTimersByTime(900);
  expect(shown()).toEqual(["changed"]);
  vi.advanceTimersByTime(200);
  expect(shown()).toEqual([]);
});

test("the keyboard takes back what was done last", () => {
  const undone: string[] = [];
  toasts.undoable("first", "Undo", Date.now() + 10_000, () => undone.push("first"));
  toasts.undoable("second", "Undo", Date.now() + 10_000, () => undone.push("second"));
  toasts.say("and something else");
  expect([toasts.undoNewest(), toasts.undoNewest(), toasts.undoNewest()]).toEqual([true, true, false]);
  expect(undone).toEqual(["second", "first"]);
});
