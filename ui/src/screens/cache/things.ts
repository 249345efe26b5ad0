// The table of the cache: filter and order. Pure.

import type { Cache, CacheItem, CacheKind, Freed } from "../../api/types";
import { withoutShell } from "../../format/command";
import { text } from "../../text";
import { NUMBERS } from "../../text/locale";

export const KINDS: CacheKind[] = ["result", "blob", "image", "context", "jobcache", "log"];

export type Column = "name" | "kind" | "bytes" | "lastUsed";
export type Order = { column: Column; isDown: boolean };

export const thingKey = ({ kind, id }: Pick<CacheItem, "kind" | "id">) => `${kind}/${id}`;

/** What a job left has its command for a name, which people read as they do in the queue. */
export function named(cache: Cache): Cache {
  return { ...cache, items: cache.items.map((item) => ({ ...item, name: withoutShell(item.name) })) };
}

export function arrange(items: readonly CacheItem[], words: string, kind: CacheKind | null, order: Order): CacheItem[] {
  const wanted = words.trim().toLowerCase();
  const sign = order.isDown ? -1 : 1;
  return items
    .filter((item) => (kind === null || item.kind === kind) && `${item.name} ${item.id}`.toLowerCase().includes(wanted))
    .sort((a, b) => sign * compare(a, b, order.column) || b.bytes - a.bytes);
}

export function byKind(cache: Cache, where: "disk" | "engine"): { kind: CacheKind; bytes: number; count: number }[] {
  return KINDS.flatMap((kind) => {
    const uses = cache.kinds.filter((use) => use.kind === kind && use.where === where);
    const bytes = uses.reduce((sum, use) => sum + use.bytes, 0);
    return bytes > 0 ? [{ kind, bytes, count: uses.reduce((sum, use) => sum + use.count, 0) }] : [];
  });
}

/** The places where something becomes free, with how much. */
export function freedWords({ disk, engine, certainty }: Freed, size: (bytes: number) => string): string {
  const { freedOnDisk, freedInEngine } = text.cache;
  if (engine === 0) return freedOnDisk(size(disk));
  const inEngine = freedInEngine(size(engine), certainty);
  return disk === 0 ? inEngine : text.cache.freedBoth(freedOnDisk(size(disk)), inEngine);
}

/** What Deskgrid uses of this disk for itself: which jobs there were, and what is known of them. */
export function recordBytes(cache: Cache): number {
  return Math.max(0, cache.disk.used - byKind(cache, "disk").reduce((sum, use) => sum + use.bytes, 0));
}

/** What else a bar of a disk shows besides what Deskgrid uses. */
export function otherBytes({ disk }: Cache): number {
  return Math.max(0, disk.total - disk.free - disk.used);
}

/** Values of the slider: equal steps for the eye, which judges sizes by their ratio. */
export const STEPS = 100;
const LEAST = 1e9;

export function limitAt(step: number, most: number): number {
  const bytes = LEAST * (Math.max(most, LEAST) / LEAST) ** (step / STEPS);
  const unit = bytes < 20 * LEAST ? LEAST / 2 : LEAST;
  return step >= STEPS ? most : Math.max(LEAST, Math.round(bytes / unit) * unit);
}

export function stepOf(bytes: number, most: number): number {
  if (most <= LEAST) return STEPS;
  return Math.round((STEPS * Math.log(Math.max(bytes, LEAST) / LEAST)) / Math.log(most / LEAST));
}

/** How much would have to go at most, as what is pinned or in use stays, for a new limit; nothing while it is raised. */
export function goingAt({ disk, limit }: Pick<Cache, "disk" | "limit">, bytes: number): number {
  return bytes >= limit.bytes ? 0 : Math.max(0, disk.used - bytes);
}

function compare(a: CacheItem, b: CacheItem, column: Column): number {
  if (column === "bytes") return a.bytes - b.bytes;
  if (column === "lastUsed") return (a.lastUsed ?? 0) - (b.lastUsed ?? 0);
  return a[column].localeCompare(b[column], NUMBERS);
}
