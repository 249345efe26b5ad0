// Start, stop and quit, with the question about running jobs.

import type { Desk, Running } from "../api/types";
import { text } from "../text";
import type { App } from "./app.svelte";
import type { Choice } from "./asking.svelte";

export async function startServer(app: App): Promise<void> {
  const desk = await app.attempt(() => app.client.start());
  if (desk !== undefined) app.desk = desk;
}

export async function stopServer(app: App): Promise<void> {
  const running = await whatOfStopping(app);
  if (running === null) return;
  const desk = await app.attempt(() => app.client.stop(running));
  if (desk !== undefined) app.desk = desk;
}

/** A page that goes through the port loses its server with it, which nobody expects who presses Stop in it. */
async function whatOfStopping(app: App): Promise<Running | null> {
  const { stopTitle, stopWords, stopIdle, stopCutsOff } = text.server;
  if (app.transport.kind === "window" || app.desk === null) return whatOfRunning(app, stopTitle, stopWords, []);
  const cutOff = `${stopCutsOff} ${wayBack(app.desk)}`;
  if (app.desk.counts.running > 0) return whatOfRunning(app, stopTitle, (jobs) => `${stopWords(jobs)} ${cutOff}`, []);
  const answer = await app.asking.ask({
    title: stopTitle,
    words: `${stopIdle} ${cutOff}`,
    choices: [
      { id: "back", label: text.cancel },
      { id: "stop", label: text.server.stop, tone: "danger" },
    ],
  });
  return answer === "stop" ? "finish" : null;
}

export async function quitServer(app: App): Promise<void> {
  const keep = { id: "keep", label: text.server.keep, hint: text.server.keepHint };
  const running = await whatOfRunning(app, text.server.quitTitle, text.server.quitWords, [keep]);
  if (running !== null) await app.attempt(() => app.client.quit(running));
}

async function whatOfRunning(
  app: App,
  title: string,
  words: (jobs: number) => string,
  more: Choice[],
): Promise<Running | null> {
  const jobs = app.desk?.counts.running ?? 0;
  if (jobs === 0) return "finish";
  const answer = await app.asking.ask({
    title,
    words: words(jobs),
    choices: [
      { id: "finish", label: text.server.finish, hint: text.server.finishHint, tone: "accent" },
      ...more,
      { id: "cancel", label: text.server.cancelJobs(jobs), hint: text.server.cancelHint, tone: "danger" },
    ],
  });
  return answer as Running | null;
}

/** How a person starts it again who sees it through its port, which is shut. */
export function wayBack({ shell }: Pick<Desk, "shell">): string {
  if (shell === null) return text.server.wayBack.terminal;
  return shell.tray ? text.server.wayBack.tray : text.server.wayBack.window;
}
