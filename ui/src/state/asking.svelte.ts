// Questions that need an answer before something happens. One dialog shows them, see `parts/Questions.svelte`.

export type Choice = { id: string; label: string; hint?: string; tone?: "accent" | "danger" };
export type Question = { title: string; words: string; choices: Choice[] };

export class Asking {
  question = $state.raw<Question | null>(null);
  #answer: ((id: string | null) => void) | null = null;

  /** The id of the choice, or `null` when the person left. */
  ask(question: Question): Promise<string | null> {
    this.answer(null);
    this.question = question;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(id: string | null): void {
    const answer = this.#answer;
    this.question = null;
    this.#answer = null;
    answer?.(id);
  }
}
