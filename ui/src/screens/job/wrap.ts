// How many rows a line of a log takes when it is wrapped. Pure. Letters have one width; where that is not sure the
// answer is too large rather than too small, so that nothing is hidden.

const TAB = 8;
const LAST_NARROW = 0x024f;

/** The width of a line, in letters. */
export function widthOf(line: string): number {
  let width = 0;
  for (const letter of line) {
    const code = letter.codePointAt(0) ?? 0;
    width += code === 9 ? TAB : code > LAST_NARROW && !isBox(code) ? 2 : 1;
  }
  return width;
}

export function rowsOf(width: number, columns: number): number {
  return columns < 1 ? 1 : Math.max(1, Math.ceil(width / columns));
}

/** Lines, blocks and bars, which programs draw progress with. */
function isBox(code: number): boolean {
  return (code >= 0x2010 && code <= 0x2027) || (code >= 0x2500 && code <= 0x259f);
}
