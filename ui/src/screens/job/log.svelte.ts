// The lines of a log, fetched in pieces until the end and then as they come. Keeps what it has; draws nothing.

import type { Client } from "../../api/client";
import type { LogKind, LogLine } from "../../api/types";
import { plainText } from "../../format/ansi";
import { words } from "../../state/words";
import { widthOf } from "./wrap";

const PIECE = 5000;

export class Log {
  lines = $state.raw<LogLine[]>([]);
  isFinal = $state(false);
  isLoaded = $state(false);
  problem = $state<string | null>(null);
  /** The longest line, in letters, for rows that do not wrap. */
  longest = $state(0);
  /** The width of each line, in letters, for rows that do. */
  widths: number[] = [];
  /** The same lines without colours, to search in. */
  plain: string[] = [];

  #next = 0;
  #fetching: Promise<void> | null = null;
  #isWanted = false;
  #isOver = false;
  /** Who still waits for all of it, whether the page is open or not. */
  #savers = 0;

  constructor(
    private readonly client: Client,
    private readonly id: string,
    private readonly kind: LogKind,
  ) {}

  /** Fetches what is there by now. Calls while it fetches make it look once more. */
  async catchUp(): Promise<void> {
    this.#isWanted = true;
    if (this.isFinal || !this.#goesOn) return;
    this.#fetching ??= this.#fetch();
    await this.#fetching;
  }

  close(): void {
    this.#isOver = true;
  }

  /** All that is there by now, without colours. Throws when a part of it could not be fetched. */
  async text(): Promise<string> {
    this.#savers += 1;
    try {
      await this.catchUp();
    } finally {
      this.#savers -= 1;
    }
    if (this.problem !== null) throw new Error(this.problem);
    return `${this.plain.join("\n")}\n`;
  }

  get #goesOn(): boolean {
    return !this.#isOver || this.#savers > 0;
  }

  async #fetch(): Promise<void> {
    try {
      while (this.#isWanted && !this.isFinal && this.#goesOn) await this.#piece();
      this.problem = null;
    } catch (problem) {
      this.problem = words(problem);
    }
    this.#fetching = null;
  }

  /** A piece is as long as the server likes, who says whether there is more by now. */
  async #piece(): Promise<void> {
    this.#isWanted = false;
    const { lines, next, hasMore, isFinal } = await this.client.log(this.id, this.kind, this.#next, PIECE);
    this.#isWanted ||= hasMore;
    this.#next = next;
    if (lines.length > 0) this.#add(lines);
    this.isFinal = isFinal;
    this.isLoaded = true;
  }

  #add(lines: LogLine[]): void {
    const plain = lines.map(([text]) => plainText(text));
    this.plain = this.plain.concat(plain);
    const widths = plain.map(widthOf);
    this.widths = this.widths.concat(widths);
    this.longest = widths.reduce((most, width) => Math.max(most, width), this.longest);
    this.lines = this.lines.concat(lines);
  }
}
