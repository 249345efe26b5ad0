import { expect, test } from "vitest";

test("a browser without a language speaks English", async () => {
  Object.defineProperty(globalThis, "navigator", { value: { language: "C", languages: ["C"] }, configurable: true });
  expect(() => new Intl.NumberFormat(navigator.language)).toThrow(RangeError);
  await import("./language");
  expect(navigator.language).toBe("en");
  expect(new Intl.NumberFormat(navigator.language).format(0.5)).toBe("0.5");
});
