// How the user interface reaches Deskgrid. The same screens work over both ways: HTTP in a browser, and the desktop
// shell's own door in the window.

export type Method = "GET" | "POST" | "PUT" | "PATCH";
export type Answer = { status: number; body: string };
export type Heard = { event: string; data: string };

/** A file of a job, and where its bytes are. */
export type Saving = { path: string; url: string };

/** What "save" came to: the place, where the transport knows it. `null` when the person thought better of it. */
export type Saved = { place: string | null } | null;

export interface Transport {
  readonly kind: "window" | "browser";
  call(method: Method, path: string, body?: unknown): Promise<Answer>;
  /** The first `most` bytes of a file. */
  read(path: string, most: number): Promise<ArrayBuffer>;
  /**
   * Follows the events of the server until `lost` is called (once) or the returned function is.
   * Rejects when it cannot begin.
   */
  follow(hear: (heard: Heard) => void, lost: () => void): Promise<() => void>;
  save(url: string, name: string): Promise<Saved>;
  /** Where a frame finds a page that a job wrote. */
  frameUrl(path: string): string;
  /** Saves text that this page made itself. */
  saveText(text: string, name: string): Promise<Saved>;
  saveAll(jobId: string, files: Saving[]): Promise<Saved>;
  /** Whether "save all" opens the folder it wrote. */
  readonly opensFolders: boolean;
  /** Whether there may be a dialog to choose a folder with. */
  readonly picksFolders: boolean;
  /** `null` when the person thought better of it. */
  pickFolder(): Promise<string | null>;
  openExternal(url: string): Promise<void>;
  /** Links from outside, such as `deskgrid://job/…`; the one that started the program comes first. */
  links(hear: (link: string) => void): Promise<void>;
}

/** Deskgrid did not answer at all. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** Deskgrid answered that it will not, with its reason in words. */
export class Refusal extends Error {
  override name = "Refusal";

  constructor(
    readonly status: number,
    readonly code: string,
    words: string,
    readonly key: string | null = null,
  ) {
    super(words);
  }
}
