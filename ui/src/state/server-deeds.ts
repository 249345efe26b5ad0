// Start, stop and quit, with the question about running jobs.

import type { Running } from "../api/types";
import { text } from "../text";
import type { App } from "./app.svelte";
import type { Choice } from "./asking.svelte";

export async function startServer(app: App): Promise<void> {
  const desk = await app.attempt(() => app.client.start());
  if (desk !== undefined) app.desk = desk;
}

export async function stopServer(app: App): Promise<void> {
  const running = await whatOfRunning(app, text.server.stopTitle, text.server.stopWords, []);
  if (running === null) return;
  const desk = await app.attempt(() => app.client.stop(running));
  if (desk !== undefined) app.desk = desk;
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
