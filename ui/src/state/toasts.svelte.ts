// Short messages at the edge of the window, some with a way back for a few seconds.

export type Toast = {
  id: number;
  tone: "calm" | "good" | "bad";
  words: string;
  action: { label: string; act: () => void } | null;
  until: number;
  /** The server gives up at `until`, so it does not wait for who reads. */
  isBound: boolean;
};

const SHORT = 4_000;
const PROBLEM = 8_000;
/** Messages at once; a way back is never pushed out. */
const MOST = 4;

export class Toasts {
  list = $state.raw<Toast[]>([]);
  /** Since when the person reads them, with the pointer or the focus on them. */
  heldSince = $state<number | null>(null);
  #next = 1;
  #timers = new Map<number, ReturnType<typeof setTimeout>>();

  say(words: string, action: Toast["action"] = null): void {
    this.#add({ tone: "good", words, action, until: Date.now() + (action === null ? SHORT : PROBLEM), isBound: false });
  }

  warn(words: string): void {
    this.#add({ tone: "bad", words, action: null, until: Date.now() + PROBLEM, isBound: false });
  }

  /** Offers a way back that the server keeps open until then. */
  undoable(words: string, label: string, until: number, undo: () => void): void {
    this.#add({ tone: "calm", words, action: { label, act: undo }, until, isBound: true });
  }

  /** Offers a way back that stays open while the person looks at it. */
  reversible(words: string, label: string, time: number, undo: () => void): void {
    this.#add({ tone: "calm", words, action: { label, act: undo }, until: Date.now() + time, isBound: false });
  }

  act(toast: Toast): void {
    this.drop(toast.id);
    toast.action?.act();
  }

  /** Takes the newest way back; false when there is none. */
  undoNewest(): boolean {
    const newest = this.list.findLast(({ tone, action }) => tone === "calm" && action !== null);
    if (newest) this.act(newest);
    return newest !== undefined;
  }

  drop(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  /** Nothing disappears under the pointer or the focus. */
  hold(): void {
    if (this.heldSince !== null) return;
    this.heldSince = Date.now();
    for (const { id, isBound } of this.list) if (!isBound) clearTimeout(this.#timers.get(id));
  }

  release(): void {
    if (this.heldSince === null) return;
    const held = Date.now() - this.heldSince;
    this.heldSince = null;
    this.list = this.list.map((toast) => (toast.isBound ? toast : { ...toast, until: toast.until + held }));
    for (const toast of this.list) this.#time(toast);
  }

  #add(given: Omit<Toast, "id">): void {
    const toast = { id: this.#next++, ...given };
    const isRepeated = ({ action, words }: Toast) => action === null && given.action === null && words === given.words;
    this.list.filter(isRepeated).forEach(({ id }) => this.drop(id));
    const plain = this.list.filter(({ action }) => action === null);
    plain.slice(0, Math.max(0, this.list.length + 1 - MOST)).forEach(({ id }) => this.drop(id));
    this.list = [...this.list, toast];
    this.#time(toast);
  }

  #time({ id, until, isBound }: Toast): void {
    if (this.heldSince !== null && !isBound) return;
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.drop(id), until - Date.now()));
  }
}
