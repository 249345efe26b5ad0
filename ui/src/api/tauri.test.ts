// The transport of the window against a shell of a few lines.

import { beforeAll, expect, test } from "vitest";
import { isWindow, TauriTransport } from "./tauri";
import { Unreachable, type Heard } from "./transport";

type Call = { command: string; given: Record<string, unknown> };
const calls: Call[] = [];
const callbacks = new Map<number, (message: unknown) => void>();
let answer: (call: Call) => unknown = () => null;

beforeAll(() => {
  const internals = {
    invoke: async (command: string, given: Record<string, unknown>) => {
      calls.push({ command, given });
      return answer({ command, given });
    },
    transformCallback: (callback: (message: unknown) => void) => {
      callbacks.set(callbacks.size + 1, callback);
      return callbacks.size;
    },
    unregisterCallback: () => undefined,
  };
  Object.assign(globalThis, { window: Object.assign(globalThis, { __TAURI_INTERNALS__: internals }) });
});

test("the window is known by what the shell leaves in it", () => expect(isWindow()).toBe(true));

test("a call goes through the command api", async () => {
  answer = () => ({ status: 204, body: "" });
  expect(await new TauriTransport().call("PUT", "/api/x", { a: 1 })).toEqual({ status: 204, body: "" });
  expect(calls.at(-1)).toEqual({ command: "api", given: { method: "PUT", path: "/api/x", body: { a: 1 } } });
});

test("a command that fails says that Deskgrid is not reached", async () => {
  answer = () => Promise.reject(new Error("no door"));
  await expect(new TauriTransport().call("GET", "/")).rejects.toBeInstanceOf(Unreachable);
});

test("events come through a channel until it is lost, and no longer than wanted", async () => {
  answer = () => null;
  const heard: Heard[] = [];
  let losses = 0;
  await new TauriTransport().follow((event) => heard.push(event), () => (losses += 1));
  const send = callbacks.get(callbacks.size);
  send?.({ index: 0, message: { event: "desk", data: "{}" } });
  send?.({ index: 1, message: { event: "lost" } });
  send?.({ index: 2, message: { event: "lost" } });
  expect(heard).toEqual([{ event: "desk", data: "{}" }]);
  expect(losses).toBe(1);
});

test("a folder is chosen in a dialog of the system", async () => {
  answer = () => "/mnt/big";
  expect(await new TauriTransport().pickFolder()).toBe("/mnt/big");
  answer = () => null;
  expect(await new TauriTransport().pickFolder()).toBeNull();
});

test("who closes the dialog has saved nothing", async () => {
  answer = () => null;
  expect(await new TauriTransport().save("/j/a/outputs/b", "b")).toBeNull();
  answer = () => "/home/ada/b";
  expect(await new TauriTransport().save("/j/a/outputs/b", "b")).toEqual({ place: "/home/ada/b" });
});
