// How a file is best looked at, from its name and type. Pure.

import type { JobFile } from "../../api/types";
import type { IconName } from "../../parts/icons";

export type View = "text" | "table" | "json" | "image" | "html" | "none";

export const MOST_TEXT = 500_000;
export const MOST_TABLE = 2_000_000;
export const MOST_IMAGE = 24_000_000;
export const MOST_ROWS = 5000;

const BY_ENDING: Record<string, View> = {
  csv: "table",
  tsv: "table",
  json: "json",
  geojson: "json",
  ipynb: "json",
  html: "html",
  htm: "html",
  svg: "image",
  png: "image",
  jpg: "image",
  jpeg: "image",
  gif: "image",
  webp: "image",
  avif: "image",
  bmp: "image",
};

const TEXT_ENDINGS = new Set(
  "txt md log py r sh js ts yml yaml toml ini cfg conf xml sql tex bib dockerfile rs c h cpp hpp java jl ndjson jsonl fasta fa pdb xyz gro csl".split(
    " ",
  ),
);

const TYPES: Record<string, string> = {
  svg: "image/svg+xml",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
};

export function viewOf(file: JobFile): View {
  const ending = endingOf(file.path);
  const type = file.type.split(";")[0]?.trim() ?? "";
  const view = BY_ENDING[ending];
  if (view !== undefined) return view;
  if (type === "text/csv" || type === "text/tab-separated-values") return "table";
  if (type === "application/json" || type.endsWith("+json")) return "json";
  if (type === "text/html") return "html";
  if (type.startsWith("image/")) return "image";
  return type.startsWith("text/") || TEXT_ENDINGS.has(ending) ? "text" : "none";
}

export function iconOf(file: JobFile): IconName {
  const icons: Record<View, IconName> = {
    text: "file",
    table: "table",
    json: "braces",
    image: "image",
    html: "page",
    none: "file",
  };
  return icons[viewOf(file)];
}

export function imageType(file: JobFile): string {
  return TYPES[endingOf(file.path)] ?? file.type;
}

export function mostOf(view: View): number {
  if (view === "image") return MOST_IMAGE;
  return view === "table" ? MOST_TABLE : MOST_TEXT;
}

/** Bytes that are no text after all: a zero byte says so. */
export function isText(bytes: Uint8Array): boolean {
  return !bytes.subarray(0, 8192).includes(0);
}

function endingOf(path: string): string {
  const name = path.split("/").pop() ?? path;
  const dot = name.lastIndexOf(".");
  return (dot < 0 ? name : name.slice(dot + 1)).toLowerCase();
}
