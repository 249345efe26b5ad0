// A command as people call it. Pure.

const IN_A_SHELL = /^(?:\/(?:usr\/)?bin\/)?(?:ba|da|z)?sh (?:-[a-z]+ )*-[a-z]*c (?:'((?:[^']|'\\'')*)'|([^\s'"\\]+))$/s;

/** A quote within quotes, as a shell wants it. */
const QUOTE = "'\\''";

/**
 * A command without the shell that only stands around it, and without what only a shell needs: of `sh -c 'make all'`
 * people want to read `make all`. What can be pasted is the command for `docker run`.
 */
export function withoutShell(command: string): string {
  const [, quoted, plain] = IN_A_SHELL.exec(command) ?? [];
  return (quoted || plain || command).replaceAll(QUOTE, "'");
}
