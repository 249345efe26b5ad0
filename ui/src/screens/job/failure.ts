// A failure in words, and what to do about it. Pure.

import type { Row } from "../../api/types";
import { outcome } from "../../state/filter";
import { text } from "../../text";

/** The title is one sentence; what else there is to say of it follows as words. */
export type Failure = { title: string; words: string | null; advice: string | null };

const SENTENCES = /^(.+?[.!?])\s+(?=\p{Lu})(.+)$/su;

export function failureOf(row: Row): Failure | null {
  if (outcome(row) !== "failure") return null;
  const message = row.failure?.message ?? titleOf(row);
  const [, title, words] = SENTENCES.exec(message) ?? [];
  return { title: title ?? message, words: words ?? null, advice: adviceOf(row) };
}

function titleOf({ reason, exitCode }: Row): string {
  if (reason === "TimedOut") return text.failure.timedOut;
  return exitCode === null || exitCode === 0 ? text.failure.error : text.failure.exit(exitCode);
}

function adviceOf({ reason, exitCode, failure }: Row): string | null {
  if (failure !== null) return text.advice[failure.code] ?? null;
  if (reason === "TimedOut") return text.advice["timed-out"] ?? null;
  if (exitCode === 137) return text.failure.killed;
  if (exitCode === 127) return text.failure.notFound;
  return exitCode !== null && exitCode !== 0 ? (text.advice["exit-code"] ?? null) : null;
}
