// Something that is fetched, with everything a screen has to show about that: not yet, there, or why not.

import { words } from "./words";

export class Fetched<T> {
  value = $state.raw<T | null>(null);
  problem = $state<string | null>(null);
  #turn = 0;

  constructor(private readonly fetch: () => Promise<T>) {}

  load = async (): Promise<void> => {
    const turn = ++this.#turn;
    try {
      const value = await this.fetch();
      if (turn !== this.#turn) return;
      this.value = value;
      this.problem = null;
    } catch (problem) {
      if (turn === this.#turn) this.problem = words(problem);
    }
  };
}
