import { expect, test } from "vitest";
import { engineName } from "./engine";

test.each([
  ["20.10.24+dfsg1", "unix:///var/run/docker.sock", "Docker 20.10.24"],
  ["27.3.1", null, "Docker 27.3.1"],
  ["5.2.0", "unix:///run/user/1000/podman/podman.sock", "Podman 5.2.0"],
  [null, null, "Docker"],
])("the version %s at %s reads as %s", (version, address, words) => expect(engineName({ version, address })).toBe(words));
