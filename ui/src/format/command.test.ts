import { expect, test } from "vitest";
import { withoutShell } from "./command";

test.each([
  ["/bin/sh -c 'make all'", "make all"],
  ["bash -lc 'echo '\\''a b'\\'''", "echo 'a b'"],
  ["sh -e -c ls", "ls"],
  ["python3 -c 'print('\\''a'\\'')'", "python3 -c 'print('a')'"],
  ["python3 -c 'print(1)'", "python3 -c 'print(1)'"],
  ["sh -c 'a' 'b'", "sh -c 'a' 'b'"],
  ["sh /inputs/run.sh", "sh /inputs/run.sh"],
  ["sh -c ''", "sh -c ''"],
])("of the command %s people read %s", (command, words) => expect(withoutShell(command)).toBe(words));
