// The administration API as functions. Knows addresses and shapes; not what is shown, and not how bytes travel.

import { Refusal, type Method, type Transport } from "./transport";
import type {
  Cache,
  CacheItem,
  Changes,
  Check,
  Deletion,
  Desk,
  FoundEngine,
  Job,
  LogKind,
  LogPage,
  Network,
  Pruning,
  Row,
  Running,
  Sheet,
  Sites,
} from "./types";

type Named = Pick<CacheItem, "kind" | "id">;

export class Client {
  constructor(
    readonly transport: Transport,
    private readonly signedOut: () => void = () => undefined,
  ) {}

  desk = () => this.#ask<Desk>("GET", "/api/desk");
  start = () => this.#ask<Desk>("POST", "/api/desk/start");
  stop = (running: Running) => this.#ask<Desk>("POST", "/api/desk/stop", { running });
  stay = () => this.#ask<void>("POST", "/api/desk/stay");
  quit = (running: Running) => this.#ask<void>("POST", "/api/desk/quit", { running });
  startAtLogin = (on: boolean) => this.#ask<Desk>("PUT", "/api/desk/login", { on });

  jobs = async () => (await this.#ask<{ jobs: Row[] }>("GET", "/api/jobs")).jobs;
  job = (id: string) => this.#ask<Job>("GET", job(id));
  log = (id: string, kind: LogKind, since: number, most: number) =>
    this.#ask<LogPage>("GET", `${job(id)}/log?kind=${kind}&since=${since}&most=${most}`);
  cancel = (id: string) => this.#ask<void>("POST", `${job(id)}/cancel`);
  again = async (id: string) => (await this.#ask<{ jobId: string }>("POST", `${job(id)}/again`)).jobId;
  dismiss = (code: string) => this.#ask<void>("POST", "/api/desk/notices/dismiss", { code });
  /** Deleted when nobody took it back in time, with `undoDeletion`. */
  discard = (id: string) => this.#ask<Pick<Deletion, "undo" | "until">>("POST", `${job(id)}/discard`);
  pinJob = (id: string, on: boolean) => this.#ask<void>("POST", `${job(id)}/pin`, { on });
  sample = async () => (await this.#ask<{ jobId: string }>("POST", "/api/sample")).jobId;

  cache = () => this.#ask<Cache>("GET", "/api/cache");
  deleteItems = (items: Named[]) => this.#ask<Deletion>("POST", "/api/cache/delete", { items });
  undoDeletion = (undo: string) => this.#ask<void>("POST", "/api/cache/undo", { undo });
  prune = (olderThan: number | null, dryRun: boolean) =>
    this.#ask<Pruning>("POST", "/api/cache/prune", { olderThan, dryRun });
  pinItem = (item: Named, on: boolean) => this.#ask<void>("POST", "/api/cache/pin", { ...item, on });

  sites = () => this.#ask<Sites>("GET", "/api/sites");
  allow = (origin: string, once = false) => this.#ask<void>("POST", "/api/sites/allow", { origin, once });
  block = (origin: string) => this.#ask<void>("POST", "/api/sites/block", { origin });
  forget = (origin: string) => this.#ask<void>("POST", "/api/sites/forget", { origin });
  setSite = (origin: string, change: { network?: Network; compatible?: boolean }) =>
    this.#ask<void>("PUT", "/api/sites/settings", { origin, ...change });

  sheet = () => this.#ask<Sheet>("GET", "/api/settings/sheet");
  change = async (changes: Changes) => (await this.#ask<{ undo: Changes }>("PATCH", "/api/settings", changes)).undo;
  engines = async () => (await this.#ask<{ engines: FoundEngine[] }>("GET", "/api/engines")).engines;
  move = (to: string) => this.#ask<void>("POST", "/api/desk/move", { to });
  doctor = async () => (await this.#ask<{ checks: Check[] }>("GET", "/api/doctor")).checks;

  /** An address that opens the dashboard, once. */
  ticket = () => this.#ask<{ address: string }>("POST", "/api/ticket");
  redeem = async (ticket: string) =>
    (await this.#ask<{ key: string }>("POST", "/api/ticket/redeem", { ticket })).key;

  async #ask<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const answer = await this.transport.call(method, path, body);
    if (answer.status === 401) this.signedOut();
    if (answer.status >= 400) throw refusal(answer.status, answer.body);
    return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
  }
}

function job(id: string): string {
  return `/api/jobs/${encodeURIComponent(id)}`;
}

/** The address of a file of a job, for `Transport.read` and `Transport.save`. */
export function fileUrl(id: string, side: "inputs" | "outputs", path: string): string {
  const steps = path.split("/").map(encodeURIComponent).join("/");
  return `/j/${encodeURIComponent(id)}/${side}/${steps}`;
}

function refusal(status: number, body: string): Refusal {
  try {
    const { error, code, key } = JSON.parse(body) as { error?: string; code?: string; key?: string };
    return new Refusal(status, code ?? "unknown", error ?? `Status ${status}`, key ?? null);
  } catch {
    return new Refusal(status, "unknown", body.trim() || `Status ${status}`);
  }
}
