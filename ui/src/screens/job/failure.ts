// A failure in words, and what to do about it. Pure.

import type { Row } from "../../api/types";
import { outcome } from "../../state/filter";
import { text } from "../../text";

export type Failure = { title: string; words: string | null; advice: string | null };

export function failureOf(row: Row): Failure | null {
  if (outcome(row) !== "failure") return null;
  const { failure, exitCode, reason } = row;
  const isExit = exitCode !== null && exitCode !== 0;
  const code = failure?.code ?? (reason === "TimedOut" ? "timed-out" : isExit ? "exit-code" : "");
  return { title: titleOf(row), words: failure?.message ?? null, advice: text.advice[code] ?? null };
}

function titleOf({ reason, exitCode }: Row): string {
  if (reason === "TimedOut") return text.failure.timedOut;
  if (exitCode === 137) return text.failure.killed;
  if (exitCode === 127) return text.failure.notFound;
  if (exitCode !== null && exitCode !== 0) return text.failure.exit(exitCode);
  return text.failure.error;
}
