import { expect, test } from "vitest";
import { EventReader } from "./events";
import type { Heard } from "./transport";

function read(...pieces: string[]): Heard[] {
  const heard: Heard[] = [];
  const reader = new EventReader((event) => heard.push(event));
  pieces.forEach((piece) => reader.push(piece));
  return heard;
}

test("an event has its name and its data", () => {
  expect(read("event: desk\ndata: {}\n\n")).toEqual([{ event: "desk", data: "{}" }]);
});

test("it does not matter where the stream is cut", () => {
  const stream = 'event: jobs\r\ndata: {"a":1}\r\n\r\n: alive\n\nevent: live\ndata: x\ndata: y\n\n';
  const whole = read(stream);
  expect(whole).toEqual([
    { event: "jobs", data: '{"a":1}' },
    { event: "live", data: "x\ny" },
  ]);
  expect(read(...stream)).toEqual(whole);
});

test("what has not ended is not told", () => {
  expect(read("event: desk\ndata: {}\n")).toEqual([]);
});
