import { expect, test } from "vitest";
import type { Desk } from "../api/types";
import { text } from "../text";
import { absenceOf, statusOf } from "./status";

const desk = (given: Partial<Desk>) => ({ doors: "open", shell: null, move: null, address: "http://localhost:8000", ...given }) as Desk;
const shell = { tray: true, startAtLogin: null, quitting: false };
const move = { to: "/big/disk", done: 1, total: 2, problem: null };

test("a move wins over shut doors", () => {
  expect(statusOf(desk({ doors: "closed", shell, move }), "open", "window").words).toBe(text.server.moving);
  const failed = { ...move, problem: "The disk is full." };
  expect(statusOf(desk({ doors: "closed", shell, move: failed }), "open", "window").words).toBe(text.server.stopped);
});

test("a page whose port was shut says how it is opened again", () => {
  const said = (given: Partial<Desk>) => absenceOf(desk({ doors: "closed", ...given }), "browser");
  expect(said({})).toMatchObject({ title: text.offline.stoppedTitle, isExpected: true });
  expect(said({}).words).toContain("`deskgrid dashboard`");
  expect(said({ shell }).words).toContain("tray icon");
  expect(said({ shell: { ...shell, tray: false } }).words).toContain("list of applications");
  expect(said({ shell, move }).words).toBe(text.offline.moving);
});

test("a server that went unasked is nothing expected", () => {
  const gone = [absenceOf(desk({}), "browser"), absenceOf(null, "browser"), absenceOf(desk({ doors: "closed", shell }), "window")];
  expect(gone.map(({ isExpected, title }) => [isExpected, title])).toEqual(gone.map(() => [false, text.offline.title]));
  expect(absenceOf(desk({ doors: "closed", shell: { ...shell, quitting: true } }), "browser").isExpected).toBe(false);
});
