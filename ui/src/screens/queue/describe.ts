// A job in a few words and a picture, the same in the queue and on its own page. Pure.

import type { Amount, Live, Row } from "../../api/types";
import { bytes, memory as memoryWords, share } from "../../format/quantity";
import type { IconName } from "../../parts/icons";
import { outcome } from "../../state/filter";
import { text } from "../../text";

export type Tone = "good" | "bad" | "calm" | "busy" | "accent";
export type Look = { icon: IconName; tone: Tone; words: string };

export function lookOf(row: Row): Look {
  if (row.phase === "running") return { icon: "running", tone: "accent", words: text.phase.running };
  if (row.phase === "queued") return { icon: "waiting", tone: "busy", words: text.phase.queued };
  const end = outcome(row);
  if (end === "success") return { icon: "success", tone: "good", words: text.outcome.success };
  if (end === "failure") return { icon: "failure", tone: "bad", words: failedWords(row) };
  return { icon: "cancelled", tone: "calm", words: endedWords(row) };
}

/** What the last column says of a finished job; nothing when all went well. */
export function resultOf(row: Row): string | null {
  if (row.phase !== "finished" || outcome(row) === "success") return null;
  if (row.exitCode !== null && row.exitCode !== 0) return text.queue.exit(row.exitCode);
  return lookOf(row).words;
}

/** Why a job failed, in the words of whoever knows; an exit code says it all. */
export function whyOf(row: Row): string | null {
  return row.failure !== null && !row.exitCode ? row.failure.message : null;
}

export function siteWords(site: string): string {
  return site === "program" ? text.queue.program : site.replace(/^https?:\/\//, "");
}

/** What a job claims; nothing is said of what it does not claim. */
export function needsWords({ cpuMillis, memory, gpus }: Amount): string {
  return [
    cpuMillis > 0 ? text.job.needsCpus(cpuMillis) : "",
    memory > 0 ? text.job.needsMemory(memoryWords(memory)) : "",
    gpus > 0 ? text.job.needsGpus(gpus) : "",
  ]
    .filter(Boolean)
    .join(", ");
}

export type Progress = { value: number | null; words: string | null };

/** How far the step is; `null` while it runs without an end in sight, or when there is nothing to wait for. */
export function progressOf(live: Live): Progress | null {
  if (live.step === "run") return null;
  const layers = live.layers?.total ? text.job.layers(live.layers.done, live.layers.total) : null;
  if (live.done === null || !live.total) return { value: null, words: layers ?? live.line };
  if (live.step === "build") return { value: share(live.done, live.total), words: text.job.steps(live.done, live.total) };
  const words = text.of(bytes(live.done), bytes(live.total));
  return { value: share(live.done, live.total), words: layers === null ? words : `${words}, ${layers}` };
}

function failedWords(row: Row): string {
  return row.reason === "TimedOut" ? text.outcome.timedOut : text.outcome.failure;
}

function endedWords(row: Row): string {
  if (row.reason === "JobReplacedByClient") return text.outcome.replaced;
  return row.reason === "Deleted" ? text.outcome.deleted : text.outcome.cancelled;
}
