// Reads `text/event-stream`, which `EventSource` cannot do with an `Authorization` header. Not for reconnecting.

import type { Heard } from "./transport";

/** Takes the stream piece by piece, however it was cut, and gives each whole event to `hear`. */
export class EventReader {
  #rest = "";
  #event = "";
  #data: string[] = [];

  constructor(private readonly hear: (heard: Heard) => void) {}

  push(piece: string): void {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") return this.#end();
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    if (field === "data") this.#data.push(value);
  }

  #end(): void {
    if (this.#data.length > 0) this.hear({ event: this.#event || "message", data: this.#data.join("\n") });
    this.#event = "";
    this.#data = [];
  }
}

export async function readEvents(
  stream: ReadableStream<Uint8Array>,
  hear: (heard: Heard) => void,
): Promise<void> {
  const events = new EventReader(hear);
  const letters = new TextDecoder();
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    events.push(letters.decode(value, { stream: true }));
  }
}
