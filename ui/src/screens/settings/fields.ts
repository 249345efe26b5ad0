// Which settings there are, in which groups, and how each is typed in and sent. Pure.

import type { Desk, Setting } from "../../api/types";
import { bytes, count, memory as memoryWords } from "../../format/quantity";
import { text } from "../../text";

export type Kind = "switch" | "choice" | "number" | "text" | "list" | "lines";
export type Field = { key: string; kind: Kind; width?: "short" | "long"; isCode?: boolean };
/** What the field needs to know of the server. */
export type Known = Pick<Desk, "capacity"> & { engine: Pick<Desk["engine"], "cpus" | "memory"> };
export type Group = keyof typeof text.settings.groups;

/** `isOfApp`: only the desktop app keeps to it. */
export const GROUPS: { group: Group; fields: Field[]; isOfApp?: boolean }[] = [
  {
    group: "general",
    isOfApp: true,
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
  { group: "storage", fields: [{ key: "disk_reserve", kind: "text", width: "short" }] },
  { group: "engine", fields: [] },
  {
    group: "access",
    fields: [
      { key: "port", kind: "number", width: "short" },
      { key: "trust_unknown_programs", kind: "switch" },
      { key: "allowed_origins", kind: "lines", isCode: true },
    ],
  },
  {
    group: "advanced",
    fields: [
      { key: "listen", kind: "text", width: "long", isCode: true },
      { key: "allowed_hosts", kind: "lines", isCode: true },
      { key: "id", kind: "text", width: "long", isCode: true },
      { key: "context_download", kind: "text", width: "short" },
      { key: "context_size", kind: "text", width: "short" },
      { key: "context_files", kind: "number", width: "short" },
    ],
  },
];

/** Without the app nothing is notified or kept awake, and what changes nothing is not offered. */
export const groupsFor = (hasApp: boolean): typeof GROUPS => GROUPS.filter(({ isOfApp }) => hasApp || !isOfApp);

/** What hardly anybody needs stays folded until it is wanted, or something of it was chosen. */
export const isFolded = (group: Group): boolean => group === "advanced";

/** Whether its value is a number of bytes. */
const isSize = (key: string): boolean => key === "memory" || key === "disk_reserve" || isContextSize(key);
const sizeWords = (key: string, amount: number) => (key === "memory" ? memoryWords(amount) : bytes(amount));
const isContextSize = (key: string): boolean => key === "context_download" || key === "context_size";

/** What stands in the field: what the person chose, else what holds by a flag or variable, else nothing. */
export function typed({ kind }: Field, setting: Setting): string {
  const value = setting.isFixed ? setting.value : setting.chosen;
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(kind === "list" ? ", " : "\n");
  return isSize(setting.key) && typeof value === "number" ? sizeWords(setting.key, value) : String(value);
}

/** What is in force, as the field says it while nothing is chosen. */
export function inForce({ key, value }: Setting, desk: Known | null): string {
  // Its choices stand above the field.
  if (key === "docker_host") return "";
  if (Array.isArray(value)) return value.length === 0 ? text.settings.none : value.join(", ");
  if (value === null || value === undefined || value === "") return text.settings.automatic(automatic(key, desk));
  if (isContextSize(key) && typeof value === "number") return text.settings.byDefault(bytes(value));
  if (isSize(key) && typeof value === "number") return text.settings.automatic(sizeWords(key, value));
  if (key === "context_files") return text.settings.byDefault(count(Number(value)));
  return key === "cpus" ? text.settings.automatic(text.job.needsCpus(Number(value) * 1000)) : text.settings.byDefault(String(value));
}

/** What Deskgrid made of a setting that is left to it, where it tells. */
function automatic(key: string, desk: Known | null): string | null {
  if (key === "listen") return text.settings.thisComputer;
  if (desk === null) return null;
  const { capacity } = desk;
  if (key === "cpus") return text.job.needsCpus(capacity.cpuMillis);
  return key === "memory" && capacity.memory !== null ? memoryWords(capacity.memory) : null;
}

/** How much there is to choose from, beside the words of a setting. */
export function boundOf(key: string, desk: Known | null): string | null {
  const { cpus, memory } = desk?.engine ?? { cpus: null, memory: null };
  if (key === "cpus" && cpus !== null) return text.settings.engineHas(text.job.needsCpus(cpus * 1000));
  return key === "memory" && memory !== null ? text.settings.engineHas(memoryWords(memory)) : null;
}

/** What is sent; `null` asks for the default. Whether it is any good is the server's to say. */
export function sent({ kind }: Field, entered: string): unknown {
  const words = entered.trim();
  if (words === "") return null;
  if (kind === "list") return words.split(/[\s,]+/).filter(Boolean);
  if (kind === "lines") return words.split(/\s*\n\s*/).filter(Boolean);
  return kind === "number" && /^-?\d+(\.\d+)?$/.test(words) ? Number(words) : words;
}
