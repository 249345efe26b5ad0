import { expect, test } from "vitest";
import { Client } from "../../api/client";
import type { LogLine } from "../../api/types";
import { FakeTransport } from "../../state/transport.fixture";
import { Log } from "./log.svelte";
import { runOf } from "./run";
import { row } from "../../state/rows.fixture";

const line = (text: string): LogLine => [text, 0, false];

function logOf(answers: Record<number, unknown>): { log: Log; transport: FakeTransport } {
  const transport = new FakeTransport();
  for (const [since, answer] of Object.entries(answers)) {
    transport.answers[`/api/jobs/a/log?kind=run&since=${since}&most=5000`] = answer;
  }
  return { log: new Log(new Client(transport), "a", "run"), transport };
}

test("a log that comes in short pieces is fetched to its end", async () => {
  const { log } = logOf({
    0: { lines: [line("one"), line("two")], next: 2, hasMore: true, isFinal: false },
    2: { lines: [line("three")], next: 3, hasMore: false, isFinal: true },
  });
  await log.catchUp();
  expect(log.lines.map(([text]) => text)).toEqual(["one", "two", "three"]);
  expect(log.isFinal).toBe(true);
});

test("a log of a job that runs is asked for until there is no more for now", async () => {
  const { log, transport } = logOf({
    0: { lines: [line("one")], next: 1, hasMore: true, isFinal: false },
    1: { lines: [line("two")], next: 2, hasMore: false, isFinal: false },
    2: { lines: [], next: 2, hasMore: false, isFinal: false },
  });
  await log.catchUp();
  expect(transport.calls).toHaveLength(2);
  await log.catchUp();
  expect(transport.calls).toHaveLength(3);
});

test("a piece that does not come is told, and fetched when it is tried again", async () => {
  const { log, transport } = logOf({ 0: { lines: [line("one")], next: 1, hasMore: true, isFinal: false } });
  await log.catchUp();
  expect(log.problem).not.toBeNull();
  await expect(log.text()).rejects.toThrow();
  transport.answers["/api/jobs/a/log?kind=run&since=1&most=5000"] = { lines: [line("two")], next: 2, hasMore: false, isFinal: true };
  await log.catchUp();
  expect(log.problem).toBeNull();
  expect(await log.text()).toBe("one\ntwo\n");
});

test("what is saved has all pieces, also those that had not come yet", async () => {
  const { log } = logOf({
    0: { lines: [line("one")], next: 1, hasMore: true, isFinal: false },
    1: { lines: [line("two")], next: 2, hasMore: false, isFinal: true },
  });
  void log.catchUp();
  expect(await log.text()).toBe("one\ntwo\n");
});

test("what is saved has all pieces also when the page is left meanwhile", async () => {
  const { log } = logOf({
    0: { lines: [line("one")], next: 1, hasMore: true, isFinal: false },
    1: { lines: [line("two")], next: 2, hasMore: false, isFinal: true },
  });
  const saved = log.text();
  log.close();
  expect(await saved).toBe("one\ntwo\n");
});

test("a page that is left asks for no further pieces", async () => {
  const { log, transport } = logOf({ 0: { lines: [line("one")], next: 1, hasMore: true, isFinal: false } });
  const fetched = log.catchUp();
  log.close();
  await fetched;
  expect(transport.calls).toHaveLength(1);
});

test("a job that runs again is another run, one that changes is not", () => {
  const first = row({ phase: "running", queuedAt: 1, startedAt: 2 });
  expect(runOf({ ...first, phase: "finished", pinned: true })).toBe(runOf(first));
  expect(runOf({ ...first, queuedAt: 3 })).not.toBe(runOf(first));
  expect(runOf({ ...first, startedAt: 4 })).not.toBe(runOf(first));
});
