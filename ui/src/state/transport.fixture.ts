// A transport for tests: answers what it is told to, and sends events when asked.

import type { Answer, Heard, Method, Saved, Transport } from "../api/transport";

export class FakeTransport implements Transport {
  readonly kind = "browser";
  readonly opensFolders = false;
  readonly picksFolders = false;
  readonly calls: string[] = [];
  answers: Record<string, unknown> = {};
  isDown = false;
  #hear: (heard: Heard) => void = () => undefined;
  #lost: () => void = () => undefined;
  #held = new Map<string, Promise<void>>();

  async call(method: Method, path: string): Promise<Answer> {
    this.calls.push(`${method} ${path}`);
    const held = this.#held.get(path);
    this.#held.delete(path);
    await held;
    const answer = this.answers[path];
    return answer === undefined ? { status: 404, body: "{}" } : { status: 200, body: JSON.stringify(answer) };
  }

  async follow(hear: (heard: Heard) => void, lost: () => void): Promise<() => void> {
    this.calls.push("follow");
    if (this.isDown) throw new Error("down");
    this.#hear = hear;
    this.#lost = lost;
    return () => undefined;
  }

  /** The next answer at `path` comes when the returned function is called. */
  holdBack(path: string): () => void {
    let arrive: () => void = () => undefined;
    this.#held.set(path, new Promise((resolve) => (arrive = resolve)));
    return () => arrive();
  }

  send(event: string, data: unknown): void {
    this.#hear({ event, data: JSON.stringify(data) });
  }

  lose(): void {
    this.#lost();
  }

  read = async () => new ArrayBuffer(0);
  save = async (): Promise<Saved> => null;
  saveText = async (): Promise<Saved> => null;
  saveAll = async (): Promise<Saved> => null;
  frameUrl = (path: string) => path;
  pickFolder = async () => null;
  openExternal = async () => undefined;
  links = async () => undefined;
}
