import { expect, test } from "vitest";
import { readRoute, writeRoute } from "./route";

test.each([
  ["#/cache", { screen: "cache" }],
  ["", { screen: "queue" }],
  ["#/nonsense", { screen: "queue" }],
  ["#/job/abc", { screen: "job", id: "abc" }],
  ["deskgrid://job/abc", { screen: "job", id: "abc" }],
  ["deskgrid://sites", { screen: "sites" }],
  ["#/job/", { screen: "queue" }],
  ["#/job/%", { screen: "job", id: "%" }],
])("%s leads to its screen", (link, route) => expect(readRoute(link)).toEqual(route));

test("what is written is read again", () => {
  expect(readRoute(writeRoute({ screen: "job", id: "a/b c" }))).toEqual({ screen: "job", id: "a/b c" });
});
