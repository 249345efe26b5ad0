// Short messages at the edge of the window, some with a way back for a few seconds.

export type Toast = {
  id: number;
  tone: "calm" | "good" | "bad";
  words: string;
  action: { label: string; act: () => void } | null;
  until: number;
};

const SHORT = 4_000;
const PROBLEM = 8_000;

export class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  say(words: string, action: Toast["action"] = null): void {
    this.#add("good", words, action, Date.now() + (action === null ? SHORT : PROBLEM));
  }

  warn(words: string): void {
    this.#add("bad", words, null, Date.now() + PROBLEM);
  }

  /** Offers the way back until it is closed. */
  undoable(words: string, label: string, until: number, undo: () => void): number {
    return this.#add("calm", words, { label, act: undo }, until);
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  #add(tone: Toast["tone"], words: string, action: Toast["action"], until: number): number {
    const id = this.#next++;
    const repeated = (toast: Toast) => action === null && toast.action === null && toast.words === words;
    this.list = [...this.list.filter((toast) => !repeated(toast)), { id, tone, words, action, until }].slice(-4);
    setTimeout(() => this.drop(id), until - Date.now());
    return id;
  }
}
