// All that the screens share: the desk, the jobs, the connection. Screens fetch what only they show themselves.

import { createContext } from "svelte";
import { Client } from "../api/client";
import type { Heard, Transport } from "../api/transport";
import type { ChangedJobs, Desk, JobsEvent, LiveEvent, Row } from "../api/types";
import { Asking } from "./asking.svelte";
import { copy } from "./clipboard";
import { Feed } from "./feed.svelte";
import { JobDeeds } from "./job-deeds";
import { moveOf } from "./move";
import { readRoute, writeRoute, type Route } from "./route";
import { liveOf, mergeJobs, mergeLive, newestFirst, rowsOf, type Pulses, type Rows } from "./rows";
import { Toasts } from "./toasts.svelte";
import { words } from "./words";

const TOPICS = ["jobs", "sites", "cache", "settings"] as const;
type Topic = (typeof TOPICS)[number];

export class App {
  desk = $state.raw<Desk | null>(null);
  rows = $state.raw<Rows | null>(null);
  pulses = $state.raw<Pulses>(new Map());
  jobsProblem = $state<string | null>(null);
  needsKey = $state(false);
  route = $state.raw<Route>({ screen: "queue" });
  /** Counts up whenever a topic changed, so that screens fetch again; that of the jobs only when events were missed. */
  changes = $state<Record<Topic, number>>({ jobs: 0, sites: 0, cache: 0, settings: 0 });

  readonly client: Client;
  readonly feed: Feed;
  readonly toasts = new Toasts();
  readonly asking = new Asking();
  readonly jobs: JobDeeds;

  readonly list = $derived<Row[]>(newestFirst(this.rows ?? new Map()));

  constructor(readonly transport: Transport) {
    this.client = new Client(transport, () => this.#signedOut());
    this.feed = new Feed(transport, (heard) => this.#hear(heard));
    this.jobs = new JobDeeds(this);
  }

  start(): void {
    this.needsKey = false;
    this.feed.start();
  }

  /** Asks first, so that a missing key is told from a missing server. */
  async begin(): Promise<void> {
    try {
      this.desk = await this.client.desk();
    } catch {
      // The feed goes on trying, and the sign-in screen shows when it is the key.
    }
    if (!this.needsKey) this.start();
  }

  go(route: Route): void {
    location.hash = writeRoute(route);
  }

  open(link: string): void {
    this.go(readRoute(link));
  }

  live(row: Row) {
    return liveOf(row, this.pulses);
  }

  /** Runs something for the person, and says so when it fails. */
  async attempt<T>(deed: () => Promise<T>): Promise<T | undefined> {
    try {
      return await deed();
    } catch (problem) {
      this.toasts.warn(words(problem));
      return undefined;
    }
  }

  /** Copies, and says `done` only when it did. */
  async copy(what: string | Promise<string>, done: string): Promise<void> {
    await this.attempt(async () => {
      await copy(what);
      this.toasts.say(done);
    });
  }

  /** Fetches the whole list. What events tell meanwhile is newer than the answer, and is told to it again. */
  async loadJobs(): Promise<void> {
    const told: ChangedJobs[] = [];
    this.#told = told;
    try {
      const rows = rowsOf(await this.client.jobs());
      if (this.#told !== told) return;
      this.rows = told.reduce(mergeJobs, rows);
      this.jobsProblem = null;
    } catch (problem) {
      if (this.#told === told) this.jobsProblem = words(problem);
    }
    if (this.#told === told) this.#told = null;
  }
  /** What events told since the list was last asked for, until it is here. */
  #told: ChangedJobs[] | null = null;

  /** Takes a job away that the server hides from now on, before its event says so. */
  forget(id: string): void {
    this.#jobs({ changed: [], gone: [id] });
  }

  #signedOut(): void {
    if (this.transport.kind !== "browser") return;
    this.needsKey = true;
    this.feed.stop();
  }

  #hear({ event, data }: Heard): void {
    switch (event) {
      case "desk":
        return this.#desk(JSON.parse(data) as Desk);
      case "jobs":
        return this.#jobs(JSON.parse(data) as JobsEvent);
      case "live":
        return this.#live(JSON.parse(data) as Record<string, LiveEvent>);
      case "sites":
      case "cache":
      case "settings":
        this.changes[event] += 1;
    }
  }

  /** The first `desk` of a connection: whatever was missed in between is fetched. */
  #desk(desk: Desk): void {
    const isFresh = this.#connected !== this.feed.openings;
    this.#connected = this.feed.openings;
    this.desk = desk;
    // Nothing can be fetched while the data folder moves; what is there afterwards is another connection's.
    if (!isFresh || moveOf(desk) !== null) return;
    void this.loadJobs();
    for (const topic of TOPICS) this.changes[topic] += 1;
  }
  #connected = -1;

  #jobs(event: JobsEvent): void {
    if ("whole" in event) return void this.loadJobs();
    this.#told?.push(event);
    if (this.rows !== null) this.rows = mergeJobs(this.rows, event);
  }

  #live(event: Record<string, LiveEvent>): void {
    this.pulses = mergeLive(this.pulses, event, (id) => this.rows?.get(id)?.phase === "running");
  }
}

export const [useApp, provideApp] = createContext<App>();
