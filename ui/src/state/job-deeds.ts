// What can be done with a job, the same from its row, its page and the keyboard.

import type { Job, Row } from "../api/types";
import { withoutShell } from "../format/command";
import { text } from "../text";
import type { App } from "./app.svelte";
import { outcome } from "./filter";

/** A job that has run for longer is not cancelled by one click. */
const LONG = 60_000;

export class JobDeeds {
  constructor(private readonly app: App) {}

  async cancel(row: Row): Promise<void> {
    if (!(await this.#mayCancel(row))) return;
    const done = await this.app.attempt(async () => {
      await this.app.client.cancel(row.id);
      return true;
    });
    if (done) this.app.toasts.say(text.job.cancelled(nameOf(row)));
  }

  async again(row: Row): Promise<void> {
    if (outcome(row) === "success" && !(await this.#mayReplace(row))) return;
    const id = await this.app.attempt(() => this.app.client.again(row.id));
    if (id === undefined) return;
    const isOpen = this.app.route.screen === "job";
    if (isOpen) this.app.go({ screen: "job", id });
    this.app.toasts.say(
      text.job.runsAgain(nameOf(row)),
      isOpen ? null : { label: text.show, act: () => this.app.go({ screen: "job", id }) },
    );
  }

  /** Gone from every screen at once; from the disk a little later, which the server sees to, as it does to its return. */
  async delete(row: Row): Promise<void> {
    const { app } = this;
    const deletion = await app.attempt(() => app.client.discard(row.id));
    if (deletion === undefined) return;
    app.forget(row.id);
    app.toasts.undoable(text.job.deleted(nameOf(row)), text.undo, deletion.until, () => {
      void app.attempt(() => app.client.undoDeletion(deletion.undo));
    });
    if (app.route.screen === "job") app.go({ screen: "queue" });
  }

  async pin(row: Row): Promise<void> {
    await this.app.attempt(() => this.app.client.pinJob(row.id, !row.pinned));
  }

  async copyLink(row: Row | Job): Promise<void> {
    const link = "link" in row ? row.link : `${this.app.desk?.address ?? ""}/j/${row.id}`;
    await this.app.copy(link, text.job.linkCopied);
  }

  async copyDockerRun(row: Row | Job): Promise<void> {
    const command =
      "dockerRun" in row ? row.dockerRun : this.app.client.job(row.id).then((job) => job.dockerRun);
    await this.app.copy(command, text.job.commandCopied);
  }

  async #mayCancel(row: Row): Promise<boolean> {
    const ran = row.startedAt === null ? 0 : Date.now() - row.startedAt;
    if (row.phase !== "running" || ran < LONG) return true;
    const answer = await this.app.asking.ask({
      title: text.job.cancelTitle,
      words: text.job.cancelWords(ran),
      choices: [
        { id: "back", label: text.job.keepRunning },
        { id: "cancel", label: text.job.cancelIt, tone: "danger" },
      ],
    });
    return answer === "cancel";
  }

  async #mayReplace(row: Row): Promise<boolean> {
    const answer = await this.app.asking.ask({
      title: text.job.againTitle,
      words: text.job.againWords(nameOf(row)),
      choices: [
        { id: "back", label: text.cancel },
        { id: "again", label: text.job.again, tone: "accent" },
      ],
    });
    return answer === "again";
  }
}

/** What people call a job: its command, else its image. */
export function nameOf(row: Row): string {
  const name = (row.command && withoutShell(row.command)) ?? row.image ?? row.id.slice(0, 12);
  return name.length > 40 ? `${name.slice(0, 39)}…` : name;
}
