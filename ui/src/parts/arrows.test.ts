import { expect, test } from "vitest";
import { nextOf } from "./arrows";

test("arrows lead to the neighbours, round the ends, and other keys nowhere", () => {
  expect(["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"].map((key) => nextOf(key, 2, 3))).toEqual([0, 0, 1, 1]);
  expect([nextOf("Enter", 0, 3), nextOf("ArrowDown", -1, 0), nextOf("ArrowDown", -1, 2)]).toEqual([null, null, 0]);
});
