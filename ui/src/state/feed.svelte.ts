// Keeps an event stream open: connects, and connects again by itself when it is lost. Not for what events mean.

import type { Heard, Transport } from "../api/transport";
import { pause } from "./backoff";

export type Connection = "connecting" | "open" | "lost";

export class Feed {
  connection = $state<Connection>("connecting");
  /** When the next attempt begins, while the connection is lost. */
  nextTry = $state<number | null>(null);
  /** How many connections there have been, this one included. */
  openings = 0;

  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #leave: (() => void) | null = null;
  #isOver = false;

  constructor(
    private readonly transport: Transport,
    private readonly hear: (heard: Heard) => void,
  ) {}

  start(): void {
    this.#isOver = false;
    void this.#connect();
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#leave?.();
  }

  /** Does not wait any longer. An attempt that is under way is left to itself: a second one would be a second stream. */
  retryNow(): void {
    if (this.nextTry === null) return;
    clearTimeout(this.#timer);
    void this.#connect();
  }

  async #connect(): Promise<void> {
    this.nextTry = null;
    this.openings += 1;
    try {
      const leave = await this.transport.follow(
        (heard) => {
          this.connection = "open";
          this.#attempt = 0;
          this.hear(heard);
        },
        () => this.#again(),
      );
      if (this.#isOver) leave();
      else this.#leave = leave;
    } catch {
      this.#again();
    }
  }

  #again(): void {
    this.#leave = null;
    if (this.#isOver) return;
    this.connection = "lost";
    const wait = pause(this.#attempt);
    this.#attempt += 1;
    this.nextTry = Date.now() + wait;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), wait);
  }
}
