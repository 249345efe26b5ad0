// A container engine in a few words. Pure.

import type { Engine } from "../api/types";

/** "Docker 20.10.24": what speaks, and its version without what a distribution adds to it. */
export function engineName({ version, address }: Pick<Engine, "version" | "address">): string {
  const name = address?.includes("podman") ? "Podman" : "Docker";
  return version === null ? name : `${name} ${version.replace(/\+.*$/, "")}`;
}
