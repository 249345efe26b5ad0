// What went wrong, in words for the person.

import { Refusal, Unreachable } from "../api/transport";
import { text } from "../text";

export function words(problem: unknown): string {
  if (problem instanceof Refusal) return problem.message;
  if (problem instanceof Unreachable) return text.offline.short;
  return problem instanceof Error ? problem.message : String(problem);
}
