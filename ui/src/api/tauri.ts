// The transport of the window: the commands of the desktop shell, which forward to Deskgrid's own door.

import { Channel, convertFileSrc, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import { Unreachable, type Answer, type Heard, type Method, type Saved, type Saving, type Transport } from "./transport";

type Message = Heard | { event: "lost" };

export class TauriTransport implements Transport {
  readonly kind = "window";
  readonly opensFolders = true;
  readonly picksFolders = true;

  call(method: Method, path: string, body?: unknown): Promise<Answer> {
    return reach(invoke<Answer>("api", { method, path, body: body ?? null }));
  }

  read(path: string, most: number): Promise<ArrayBuffer> {
    return reach(invoke<ArrayBuffer>("read", { path, most }));
  }

  async follow(hear: (heard: Heard) => void, lost: () => void): Promise<() => void> {
    let isOver = false;
    const channel = new Channel<Message>();
    channel.onmessage = (message) => {
      if (isOver) return;
      if ("data" in message) return hear(message);
      isOver = true;
      lost();
    };
    await reach(invoke("listen", { channel }));
    return () => {
      isOver = true;
    };
  }

  async save(url: string, name: string): Promise<Saved> {
    return place(await invoke<string | null>("save", { path: url, name }));
  }

  async saveText(text: string, name: string): Promise<Saved> {
    return place(await invoke<string | null>("save_text", { text, name }));
  }

  async saveAll(jobId: string, files: Saving[]): Promise<Saved> {
    return place(await invoke<string | null>("save_all", { jobId, files, open: true }));
  }

  frameUrl(path: string): string {
    return convertFileSrc(path, "preview");
  }

  pickFolder(): Promise<string | null> {
    return invoke("pick_folder");
  }

  openExternal(url: string): Promise<void> {
    return invoke("open_external", { url });
  }

  async links(hear: (link: string) => void): Promise<void> {
    await listen<string>("link", ({ payload }) => hear(payload));
    const first = await invoke<string | null>("initial_link");
    if (first !== null) hear(first);
  }
}

export function isWindow(): boolean {
  return "__TAURI_INTERNALS__" in window;
}

function place(path: string | null): Saved {
  return path === null ? null : { place: path };
}

/** A command that fails has not reached Deskgrid: what Deskgrid refuses comes as an answer with a status. */
async function reach<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (cause) {
    throw new Unreachable(String(cause), { cause });
  }
}
