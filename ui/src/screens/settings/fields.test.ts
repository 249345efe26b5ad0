import { expect, test } from "vitest";
import type { Setting } from "../../api/types";
import { boundOf, groupsFor, inForce, sent, typed } from "./fields";

const setting = (given: Partial<Setting>): Setting => ({
  key: "memory",
  value: null,
  chosen: null,
  source: "default",
  isFixed: false,
  takesRestart: false,
  ...given,
});

test("an empty field asks for the default", () => {
  expect(sent({ key: "cpus", kind: "number" }, "  ")).toBeNull();
});

test("numbers are sent as numbers, and what is none as it is, for the server to judge", () => {
  expect(sent({ key: "port", kind: "number" }, "8001")).toBe(8001);
  expect(sent({ key: "port", kind: "number" }, "80x")).toBe("80x");
});

test("lists are split", () => {
  expect(sent({ key: "gpus", kind: "list" }, "0, 1")).toEqual(["0", "1"]);
  expect(sent({ key: "allowed_origins", kind: "lines" }, "https://a\n\n https://b ")).toEqual(["https://a", "https://b"]);
});

test("the field shows what was chosen, else says what is in force", () => {
  const memory = { key: "memory", kind: "text" } as const;
  expect(typed(memory, setting({ chosen: "8g" }))).toBe("8g");
  expect(typed(memory, setting({ value: 8 * 1024 ** 3 }))).toBe("");
  expect(inForce(setting({ value: 8 * 1024 ** 3 }), null)).toBe("Automatic: 8 GB");
});

test("what is left to Deskgrid says what came of it", () => {
  const engine = { cpus: 2, memory: 4 * 1024 ** 3 };
  const desk = { capacity: { cpuMillis: 1000, memory: 3 * 1024 ** 3, gpus: 0 }, engine };
  const words = (key: string, known = desk) => inForce(setting({ key }), known);
  expect([words("cpus"), words("memory")]).toEqual(["Automatic: 1 CPU", "Automatic: 3 GB"]);
  expect(words("id")).toBe("Automatic");
  expect(inForce(setting({}), { ...desk, capacity: { ...desk.capacity, memory: null } })).toBe("Automatic");
  expect(inForce(setting({ key: "context_size", value: 16e9 }), desk)).toBe("Default: 16 GB");
  expect(inForce(setting({ key: "context_files", value: 500_000 }), desk)).toBe("Default: 500,000");
  expect(inForce(setting({ key: "max_job_duration", value: "1h" }), desk)).toBe("Default: 1h");
  expect([boundOf("cpus", desk), boundOf("memory", desk), boundOf("port", desk)]).toEqual([
    "The engine has 2 CPUs.",
    "The engine has 4 GB.",
    null,
  ]);
});

test("what a flag holds stands in the field", () => {
  expect(typed({ key: "listen", kind: "text" }, setting({ key: "listen", value: "0.0.0.0", isFixed: true }))).toBe("0.0.0.0");
});

test("what only the app does is offered with the app only", () => {
  const keys = (hasApp: boolean) => groupsFor(hasApp).flatMap(({ fields }) => fields.map(({ key }) => key));
  const ofApp = ["notifications", "keep_awake"];
  expect(keys(true)).toEqual(expect.arrayContaining(ofApp));
  expect(keys(false)).toEqual(keys(true).filter((key) => !ofApp.includes(key)));
});
