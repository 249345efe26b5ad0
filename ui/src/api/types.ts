// What the administration API says, word for word. Times are milliseconds since the epoch, sizes are bytes.

export type Doors = "open" | "closed" | "blocked";
export type Running = "finish" | "cancel" | "keep";

export type Amount = { cpuMillis: number; memory: number; gpus: number };
/** How much memory there is, only the engine knows. */
export type Capacity = Omit<Amount, "memory"> & { memory: number | null };

export type Advice = { text: string; command: string | null; link: string | null };

export type Engine = {
  code:
    | "engine-ready"
    | "engine-not-installed"
    | "engine-not-running"
    | "engine-no-permission"
    | "engine-too-old";
  ready: boolean;
  words: string;
  advice: Advice[];
  version: string | null;
  address: string | null;
  cpus: number | null;
  memory: number | null;
};

/** What the person has to know of the disk and of what lies there. */
export type Notice = { code: string; words: string; canBeDismissed: boolean };

export type Desk = {
  version: string;
  platform: "linux" | "macos" | "windows";
  doors: Doors;
  problem: { code: string; words: string } | null;
  notices?: Notice[];
  address: string;
  port: number;
  engine: Engine;
  capacity: Capacity;
  taken: Amount;
  counts: { running: number; waiting: number; asking: number; finished: number };
  dataDirectory: string;
  settingsFile: string | null;
  shell: { tray: boolean; startAtLogin: boolean | null; quitting: boolean } | null;
  move: { to: string; done: number; total: number; problem: string | null } | null;
};

export type Phase = "queued" | "running" | "finished";
export type Reason = "Success" | "Error" | "TimedOut" | "Cancelled" | "JobReplacedByClient" | "Deleted";
export type Step = "image" | "build" | "inputs" | "create" | "run" | "collect";

export type Live = {
  step: Step;
  since: number;
  line: string | null;
  done: number | null;
  total: number | null;
  /** Of an image that is pulled. */
  layers: { done: number; total: number } | null;
  cpu: number | null;
  memory: number | null;
  memoryLimit: number | null;
  tail: string | null;
};

export type LiveEvent = Live & { lines: number; buildLines: number };

export type Row = {
  id: string;
  phase: Phase;
  reason: Reason | null;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  image: string | null;
  command: string | null;
  sites: string[];
  queues: string[];
  exitCode: number | null;
  duration: number | null;
  failure: { code: string; message: string } | null;
  needs: Amount;
  waiting: { place: number; why: string } | null;
  live: Live | null;
  pinned: boolean;
};

export type Stage = { name: "queued" | Step; start: number; end: number | null; note: string | null };

export type JobFile = {
  path: string;
  size: number | null;
  hash: string | null;
  type: string;
  from: string | null;
};

export type Trace = { start: number; every: number; cpu: number[]; memory: number[] };

export type Job = Row & {
  definition: unknown;
  dockerRun: string;
  link: string;
  timeline: Stage[];
  inputs: JobFile[];
  outputs: JobFile[];
  notes: string[];
  trace: Trace | null;
  hasBuildLog: boolean;
};

export type LogKind = "run" | "build";
export type LogLine = [text: string, time: number, isStderr: boolean];
export type LogPage = { lines: LogLine[]; next: number; hasMore: boolean; isFinal: boolean };

export type ChangedJobs = { changed: Row[]; gone: string[] };
export type JobsEvent = ChangedJobs | { whole: true };

export type CacheKind = "result" | "blob" | "log" | "context" | "image" | "jobcache";

export type CacheItem = {
  kind: CacheKind;
  id: string;
  name: string;
  bytes: number;
  lastUsed: number | null;
  pinned: boolean;
  /** The first of them. */
  jobs: string[];
  jobCount: number;
  origin: "pulled" | "built" | null;
  isDeletable: boolean;
  why: string | null;
};

export type KindUse = { kind: CacheKind; count: number; bytes: number; where: "disk" | "engine" };

export type Cache = {
  disk: { total: number; free: number; used: number };
  engine: { used: number; separate: boolean };
  /** `usual` is what it is when nobody chose. */
  limit: { bytes: number; isDefault: boolean; most: number; usual: number };
  kinds: KindUse[];
  items: CacheItem[];
};

/** What becomes free on this disk and inside the engine. */
export type Freed = { disk: number; engine: number; certainty: Certainty };
/** How well the number of the engine is known. */
export type Certainty = "exact" | "atLeast" | "about";
export type Deletion = { undo: string; until: number; bytes: number; freed: Freed };
export type Pruning = { items: number; bytes: number; freed: Freed; undo: string | null; until: number | null };

export type Network = "internet" | "none";

export type Site = {
  origin: string;
  source: "decision" | "settings" | "shipped" | "once" | null;
  since: string | null;
  lastUsed: string | null;
  network: Network;
  compatible: boolean;
  jobs: number;
  bytes: number;
};

export type Asking = { origin: string; firstAsked: number; lastAsked: number; count: number };
export type Sites = { allowed: Site[]; blocked: Site[]; shipped: string[]; pending: Asking[] };

export type Setting = {
  key: string;
  value: unknown;
  chosen: unknown;
  source: "default" | "file" | "variable" | "flag";
  isFixed: boolean;
  takesRestart: boolean;
};
export type Sheet = { file: string | null; settings: Setting[] };
export type Changes = Record<string, unknown>;

export type FoundEngine = {
  address: string;
  foundBy: string;
  state: string;
  version: string | null;
  inUse: boolean;
};

export type Check = { name: string; verdict: "fine" | "warning" | "problem"; message: string };
