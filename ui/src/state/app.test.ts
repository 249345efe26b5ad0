import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "./app.svelte";
import { row } from "./rows.fixture";
import { FakeTransport } from "./transport.fixture";

let transport: FakeTransport;
let app: App;
const desk = { doors: "open", counts: {} };

beforeEach(() => {
  vi.useFakeTimers();
  transport = new FakeTransport();
  transport.answers = { "/api/desk": desk, "/api/jobs": { jobs: [row({ id: "a" })] } };
  app = new App(transport);
});

afterEach(() => {
  app.feed.stop();
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(0);

test("the first event of a connection brings the jobs and tells the screens to fetch", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  expect(app.rows?.has("a")).toBe(true);
  expect(app.changes).toEqual({ jobs: 1, sites: 1, cache: 1, settings: 1 });
  transport.send("desk", desk);
  await settled();
  expect(transport.calls.filter((call) => call === "GET /api/jobs")).toHaveLength(1);
});

test("changed jobs are merged, and whole lists fetched", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  transport.send("jobs", { changed: [row({ id: "b", phase: "running" })], gone: ["a"] });
  expect([...(app.rows?.keys() ?? [])]).toEqual(["b"]);
  transport.send("jobs", { whole: true });
  await settled();
  expect([...(app.rows?.keys() ?? [])]).toEqual(["a"]);
});

test("a lost connection is made again by itself, later and later, and brings everything up to date", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  transport.isDown = true;
  transport.lose();
  expect(app.feed.connection).toBe("lost");
  await vi.advanceTimersByTimeAsync(500 + 1000);
  expect(transport.calls.filter((call) => call === "follow")).toHaveLength(3);
  transport.isDown = false;
  await vi.advanceTimersByTimeAsync(2000);
  transport.send("desk", desk);
  await settled();
  expect(app.feed.connection).toBe("open");
  expect(transport.calls.filter((call) => call === "GET /api/jobs")).toHaveLength(2);
});

test("who cannot wait starts one attempt, however often it is asked for", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  transport.isDown = true;
  transport.lose();
  transport.isDown = false;
  app.feed.retryNow();
  app.feed.retryNow();
  await settled();
  app.feed.retryNow();
  expect(transport.calls.filter((call) => call === "follow")).toHaveLength(2);
});

test("a deleted job is gone from the screen at once, and back when the server says so", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  const job = row({ id: "a" });
  transport.answers["/api/jobs/a/discard"] = { undo: "1", until: Date.now() + 10_000 };
  transport.answers["/api/cache/undo"] = {};
  await app.jobs.delete(job);
  expect(app.list).toEqual([]);
  app.toasts.undoNewest();
  await settled();
  expect(transport.calls).toContain("POST /api/cache/undo");
  transport.send("jobs", { changed: [job], gone: [] });
  expect(app.list.map(({ id }) => id)).toEqual(["a"]);
  await app.jobs.delete(job);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(app.list).toEqual([]);
});

test("a job that the server does not delete stays on the screen", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  await app.jobs.delete(row({ id: "a" }));
  expect(app.list.map(({ id }) => id)).toEqual(["a"]);
  expect(app.toasts.list[0]?.tone).toBe("bad");
});

test("what events tell while the list is fetched is not lost to an older answer", async () => {
  await app.begin();
  const arrives = transport.holdBack("/api/jobs");
  transport.send("desk", desk);
  await settled();
  transport.send("jobs", { changed: [row({ id: "a", phase: "finished" }), row({ id: "b" })], gone: [] });
  transport.answers["/api/jobs"] = { jobs: [row({ id: "a", phase: "running" })] };
  arrives();
  await settled();
  expect(app.rows?.get("a")?.phase).toBe("finished");
  expect(app.rows?.has("b")).toBe(true);
});

test("of two lists that are on their way the one that was asked for last counts", async () => {
  await app.begin();
  const first = transport.holdBack("/api/jobs");
  transport.send("desk", desk);
  await settled();
  transport.send("jobs", { whole: true });
  await settled();
  transport.answers["/api/jobs"] = { jobs: [row({ id: "old" })] };
  first();
  await settled();
  expect([...(app.rows?.keys() ?? [])]).toEqual(["a"]);
});

test("nothing is fetched while the data folder moves, and what is there is kept", async () => {
  await app.begin();
  transport.send("desk", desk);
  await settled();
  const fetched = () => transport.calls.filter((call) => call.startsWith("GET")).length;
  const before = fetched();
  transport.lose();
  await vi.advanceTimersByTimeAsync(60_000);
  const move = { to: "/new", done: 1, total: 2, problem: null };
  transport.send("desk", { ...desk, doors: "closed", move });
  await settled();
  expect(fetched()).toBe(before);
  expect(app.list.map(({ id }) => id)).toEqual(["a"]);
});
