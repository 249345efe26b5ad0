// What the foot of the sidebar says about the server. Pure.

import type { Desk } from "../api/types";
import type { Connection } from "../state/feed.svelte";
import { text } from "../text";

export type Mood = "good" | "calm" | "bad" | "busy";
export type Status = { mood: Mood; words: string; detail: string | null };

export function statusOf(desk: Desk | null, connection: Connection): Status {
  if (connection === "lost") return { mood: "bad", words: text.server.unreachable, detail: null };
  if (desk === null) return { mood: "calm", words: text.server.connecting, detail: null };
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
