// A command as people call it. Pure.

const IN_A_SHELL = /^(?:\/(?:usr\/)?bin\/)?(?:ba|da|z)?sh (?:-[a-z]+ )*-[a-z]*c (?:'((?:[^']|'\\'')*)'|([^\s'"\\]+))$/s;

/** A command without the shell that only stands around it: of `sh -c 'make all'` people want to read `make all`. */
export function withoutShell(command: string): string {
  const [, quoted, plain] = IN_A_SHELL.exec(command) ?? [];
  return quoted?.replaceAll("'\\''", "'") || plain || command;
}
