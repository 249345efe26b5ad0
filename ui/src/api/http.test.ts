// The transport of the dashboard against a real server of a few lines.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Client } from "./client";
import { HttpTransport } from "./http";
import { Refusal, Unreachable } from "./transport";

let server: Server | null = null;

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(answer);
  await new Promise<void>((ready) => server?.listen(0, "127.0.0.1", ready));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

test("a call carries the key and its body", async () => {
  const base = await serve((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => response.end(JSON.stringify([request.method, request.headers.authorization, body])));
  });
  const answer = await new HttpTransport(base, () => "k").call("POST", "/api/x", { a: 1 });
  expect(answer).toEqual({ status: 200, body: JSON.stringify(["POST", "Bearer k", '{"a":1}']) });
});

test("no server is told from a server that refuses", async () => {
  const base = await serve((_, response) => {
    response.statusCode = 400;
    response.end(JSON.stringify({ error: "The port is a number.", code: "bad-setting", key: "port" }));
  });
  const client = new Client(new HttpTransport(base, () => null));
  const refusal = await client.change({ port: "x" }).catch((problem: unknown) => problem);
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal).toMatchObject({ status: 400, code: "bad-setting", key: "port", message: "The port is a number." });
  await expect(new HttpTransport("http://127.0.0.1:1", () => null).call("GET", "/")).rejects.toBeInstanceOf(Unreachable);
});

test("a key that is not accepted is said once for all", async () => {
  const base = await serve((_, response) => {
    response.statusCode = 401;
    response.end("{}");
  });
  let isSignedOut = false;
  const client = new Client(new HttpTransport(base, () => "old"), () => (isSignedOut = true));
  await expect(client.desk()).rejects.toBeInstanceOf(Refusal);
  expect(isSignedOut).toBe(true);
});

test("events are heard as they come, and the end of the stream is told", async () => {
  const base = await serve((request, response) => {
    response.setHeader("content-type", "text/event-stream");
    response.write(`event: desk\ndata: ${request.headers.authorization ?? ""}\n\n`);
    response.end("event: sites\ndata: {}\n\n");
  });
  const heard: string[] = [];
  await new Promise<void>((lost) => {
    void new HttpTransport(base, () => "k").follow(({ event, data }) => heard.push(`${event} ${data}`), lost);
  });
  expect(heard).toEqual(["desk Bearer k", "sites {}"]);
});

test("a stream that the server refuses cannot be followed", async () => {
  const base = await serve((_, response) => {
    response.statusCode = 503;
    response.end();
  });
  await expect(new HttpTransport(base, () => null).follow(() => undefined, () => undefined)).rejects.toBeInstanceOf(Unreachable);
});

test("no more of a file is read than asked for, whether the server knows ranges or not", async () => {
  const base = await serve((request, response) => {
    if (request.url === "/ranged" && request.headers.range === "bytes=0-3") {
      response.statusCode = 206;
      response.end("0123");
    } else response.end("0123456789");
  });
  const transport = new HttpTransport(base, () => null);
  const words = async (path: string, most: number) => new TextDecoder().decode(await transport.read(path, most));
  expect(await words("/ranged", 4)).toBe("0123");
  expect(await words("/whole", 4)).toBe("0123");
  expect(await words("/whole", 100)).toBe("0123456789");
});
