// What the frame says about the server: at the foot of the sidebar, and where it does not answer. Pure.

import type { Transport } from "../api/transport";
import type { Desk } from "../api/types";
import type { Connection } from "../state/feed.svelte";
import { moveOf } from "../state/move";
import { wayBack } from "../state/server-deeds";
import { text } from "../text";

export type Mood = "good" | "calm" | "bad" | "busy";
export type Status = { mood: Mood; words: string; detail: string | null };

export function statusOf(desk: Desk | null, connection: Connection, kind: Transport["kind"]): Status {
  if (connection === "lost") {
    return { mood: absenceOf(desk, kind).isExpected ? "calm" : "bad", words: text.server.unreachable, detail: null };
  }
  if (desk === null) return { mood: "calm", words: text.server.connecting, detail: null };
  // Meanwhile there are neither doors nor an engine to speak of.
  if (moveOf(desk) !== null) return { mood: "calm", words: text.server.moving, detail: null };
  switch (desk.doors) {
    case "open":
      return { mood: "good", words: text.server.running, detail: text.server.at(desk.address) };
    case "closed":
      if (desk.shell?.quitting) return { mood: "calm", words: text.server.quitting(desk.counts.running), detail: null };
      return { mood: "calm", words: text.server.stopped, detail: null };
    case "blocked":
      return { mood: "bad", words: text.server.blocked, detail: text.server.at(desk.address) };
  }
}

/** `isExpected`: somebody wanted it so, and nothing is wrong. */
export type Absence = { title: string; words: string; isExpected: boolean };

/** Why it does not answer, as far as its last state tells. The window has a door that stays open while the port is shut. */
export function absenceOf(last: Desk | null, kind: Transport["kind"]): Absence {
  const { title, stoppedTitle, movingTitle } = text.offline;
  if (kind === "window") return { title, words: text.offline.window, isExpected: false };
  if (last === null || last.shell?.quitting) return { title, words: text.offline.browser, isExpected: false };
  if (moveOf(last) !== null) return { title: movingTitle, words: text.offline.moving, isExpected: true };
  if (last.doors === "closed") {
    return { title: stoppedTitle, words: text.offline.stopped(wayBack(last)), isExpected: true };
  }
  return { title, words: last.shell === null ? text.offline.serve : text.offline.browser, isExpected: false };
}
