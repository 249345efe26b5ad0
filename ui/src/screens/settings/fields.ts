// Which settings there are, in which groups, and how each is typed in and sent. Pure.

import type { Setting } from "../../api/types";
import { bytes } from "../../format/quantity";
import { text } from "../../text";

export type Kind = "switch" | "choice" | "number" | "text" | "list" | "lines";
export type Field = { key: string; kind: Kind; width?: "short" | "long"; isCode?: boolean };
export type Group = keyof typeof text.settings.groups;

export const GROUPS: { group: Group; fields: Field[] }[] = [
  {
    group: "general",
    fields: [
      { key: "notifications", kind: "choice" },
      { key: "keep_awake", kind: "switch" },
    ],
  },
  {
    group: "limits",
    fields: [
      { key: "cpus", kind: "number", width: "short" },
      { key: "memory", kind: "text", width: "short" },
      { key: "gpus", kind: "list", width: "short" },
      { key: "max_job_duration", kind: "text", width: "short" },
    ],
  },
  { group: "storage", fields: [] },
  { group: "engine", fields: [] },
  {
    group: "access",
    fields: [
      { key: "port", kind: "number", width: "short" },
      { key: "listen", kind: "text", width: "long", isCode: true },
      { key: "trust_unknown_programs", kind: "switch" },
      { key: "allowed_origins", kind: "lines", isCode: true },
      { key: "allowed_hosts", kind: "lines", isCode: true },
    ],
  },
  { group: "advanced", fields: [{ key: "id", kind: "text", width: "long", isCode: true }] },
];

/** What stands in the field: what the person chose, else what holds by a flag or variable, else nothing. */
export function typed({ kind }: Field, setting: Setting): string {
  const value = setting.isFixed ? setting.value : setting.chosen;
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(kind === "list" ? ", " : "\n");
  return setting.key === "memory" && typeof value === "number" ? bytes(value) : String(value);
}

/** What is in force, as the field says it while nothing is chosen. */
export function inForce(setting: Setting): string {
  const { key, value } = setting;
  if (value === null || value === undefined || value === "") return "";
  if (Array.isArray(value)) return value.length === 0 ? text.settings.none : value.join(", ");
  const words = key === "memory" && typeof value === "number" ? bytes(value) : String(value);
  return key === "cpus" || key === "memory" ? text.settings.automatic(words) : words;
}

/** What is sent; `null` asks for the default. Whether it is any good is the server's to say. */
export function sent({ kind }: Field, entered: string): unknown {
  const words = entered.trim();
  if (words === "") return null;
  if (kind === "list") return words.split(/[\s,]+/).filter(Boolean);
  if (kind === "lines") return words.split(/\s*\n\s*/).filter(Boolean);
  return kind === "number" && /^-?\d+(\.\d+)?$/.test(words) ? Number(words) : words;
}
