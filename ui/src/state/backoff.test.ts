import { expect, test } from "vitest";
import { pause } from "./backoff";

test("soon at first, then more seldom, never longer than a quarter of a minute", () => {
  expect([0, 1, 2, 3, 4, 5, 100].map(pause)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
});
