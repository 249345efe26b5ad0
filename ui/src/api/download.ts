// How a browser saves bytes: as a download, or into a folder that the person picks where the browser offers that.

import type { Saved, Saving } from "./transport";

type Folder = {
  name: string;
  getDirectoryHandle(name: string, how: { create: boolean }): Promise<Folder>;
  getFileHandle(name: string, how: { create: boolean }): Promise<{ createWritable(): Promise<WritableStream> }>;
};

export function saveLink(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name.split("/").pop() ?? name;
  link.click();
}

export function saveBytes(bytes: Blob, name: string): void {
  const url = URL.createObjectURL(bytes);
  saveLink(url, name);
  // The browser has taken the address by the next turn; some only begin to read it then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function saveEach(files: Saving[], read: (url: string) => Promise<Blob>): Promise<Saved> {
  const pick = (window as { showDirectoryPicker?: (how: object) => Promise<Folder> }).showDirectoryPicker;
  if (pick === undefined) {
    for (const { path, url } of files) saveBytes(await read(url), path.replaceAll("/", "-"));
    return { place: null };
  }
  const folder = await pick.call(window, { mode: "readwrite" }).catch((problem: unknown) => {
    if (problem instanceof DOMException && problem.name === "AbortError") return null;
    throw problem;
  });
  if (folder === null) return null;
  for (const { path, url } of files) await write(folder, path, await read(url));
  return { place: folder.name };
}

async function write(folder: Folder, path: string, bytes: Blob): Promise<void> {
  const steps = path.split("/");
  const name = steps.pop() ?? path;
  let place = folder;
  for (const step of steps) place = await place.getDirectoryHandle(step, { create: true });
  const file = await place.getFileHandle(name, { create: true });
  await bytes.stream().pipeTo(await file.createWritable());
}
