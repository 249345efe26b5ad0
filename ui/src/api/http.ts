// The transport of the dashboard: fetch, with the key that `key()` knows.

import { readEvents } from "./events";
import { saveBytes, saveEach, saveLink } from "./download";
import { Unreachable, type Answer, type Heard, type Method, type Saved, type Saving, type Transport } from "./transport";

/** An event stream says something every few seconds; one that is silent for as long is dead. */
const SILENCE = 45_000;

export class HttpTransport implements Transport {
  readonly kind = "browser";
  readonly opensFolders = false;
  readonly picksFolders = false;

  constructor(
    private readonly base: string,
    private readonly key: () => string | null,
  ) {}

  async call(method: Method, path: string, body?: unknown): Promise<Answer> {
    const json = body === undefined ? null : JSON.stringify(body);
    const answer = await this.#fetch(path, { method, body: json }, json !== null);
    return { status: answer.status, body: await answer.text() };
  }

  async read(path: string, most: number): Promise<ArrayBuffer> {
    const answer = await this.#fetch(path, { headers: { Range: `bytes=0-${most - 1}` } });
    if (answer.status === 416) return new ArrayBuffer(0);
    if (!answer.ok) throw new Unreachable(`${answer.status}`);
    const bytes = await firstBytes(answer, most);
    return bytes;
  }

  async follow(hear: (heard: Heard) => void, lost: () => void): Promise<() => void> {
    const stop = new AbortController();
    const answer = await this.#fetch("/api/events", { signal: stop.signal });
    if (!answer.ok || answer.body === null) throw new Unreachable(`${answer.status}`);
    const watched = watchSilence(answer.body, () => stop.abort());
    readEvents(watched, hear)
      .catch(() => undefined)
      .finally(() => {
        if (!stop.signal.aborted) stop.abort();
        lost();
      });
    return () => stop.abort();
  }

  async save(url: string, name: string): Promise<Saved> {
    // Files of a job need no key on this computer, so the browser streams them to the disk by itself.
    saveLink(this.base + url, name);
    return { place: null };
  }

  async saveText(text: string, name: string): Promise<Saved> {
    saveBytes(new Blob([text], { type: "text/plain" }), name);
    return { place: null };
  }

  saveAll(_jobId: string, files: Saving[]): Promise<Saved> {
    return saveEach(files, async (url) => {
      const answer = await this.#fetch(url, {});
      if (!answer.ok) throw new Unreachable(`${answer.status}`);
      return answer.blob();
    });
  }

  frameUrl(path: string): string {
    return this.base + path;
  }

  async pickFolder(): Promise<string | null> {
    // A browser does not tell where on the disk a folder is.
    return null;
  }

  async openExternal(url: string): Promise<void> {
    window.open(url, "_blank", "noopener");
  }

  async links(): Promise<void> {
    // A browser has its address bar.
  }

  async #fetch(path: string, init: RequestInit, isJson = false): Promise<Response> {
    const headers = new Headers(init.headers);
    const key = this.key();
    if (key !== null) headers.set("Authorization", `Bearer ${key}`);
    if (isJson) headers.set("Content-Type", "application/json");
    try {
      return await fetch(this.base + path, { ...init, headers, cache: "no-store" });
    } catch (cause) {
      throw new Unreachable("no answer", { cause });
    }
  }
}

/** Reads no more than asked for, also from a server that does not know ranges. */
async function firstBytes(answer: Response, most: number): Promise<ArrayBuffer> {
  if (answer.status === 206 || answer.body === null) return answer.arrayBuffer();
  const reader = answer.body.getReader();
  const bytes = new Uint8Array(most);
  let length = 0;
  while (length < most) {
    const { done, value } = await reader.read();
    if (done) break;
    const piece = value.subarray(0, most - length);
    bytes.set(piece, length);
    length += piece.length;
  }
  await reader.cancel().catch(() => undefined);
  return bytes.buffer.slice(0, length);
}

function watchSilence(stream: ReadableStream<Uint8Array>, silent: () => void): ReadableStream<Uint8Array> {
  let timer = setTimeout(silent, SILENCE);
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, out) {
        clearTimeout(timer);
        timer = setTimeout(silent, SILENCE);
        out.enqueue(piece);
      },
      flush: () => clearTimeout(timer),
    }),
  );
}
