// Reads tables as text: commas, semicolons or tabs, quoted or not. Forgiving: a preview is better than an error.

export type Table = { columns: string[]; rows: string[][]; isCut: boolean };

const DELIMITERS = [",", ";", "\t", "|"];

export function parseTable(text: string, mostRows: number): Table {
  const delimiter = delimiterOf(text);
  const lines = readLines(text.replace(/^\uFEFF/, ""), delimiter, mostRows + 1);
  const [head = [], ...rows] = lines.rows;
  const isHead = head.some((cell) => cell !== "" && !isNumber(cell));
  const columns = isHead ? head : head.map((_, at) => `Column ${at + 1}`);
  return { columns, rows: isHead ? rows : lines.rows.slice(0, mostRows), isCut: lines.isCut };
}

/** The columns that a plot can show: nearly everything in them is a number. */
export function numericColumns(table: Table): number[] {
  return table.columns.map((_, at) => at).filter((at) => isNumeric(table.rows, at));
}

export function numbers(table: Table, column: number): (number | null)[] {
  return table.rows.map((row) => number(row[column] ?? ""));
}

function delimiterOf(text: string): string {
  const line = text.slice(0, Math.max(0, text.search(/\r?\n/)) || 4096);
  const counts = DELIMITERS.map((mark) => line.split(mark).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ",";
}

function readLines(text: string, delimiter: string, most: number): { rows: string[][]; isCut: boolean } {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length && rows.length < most) {
    const cell = text[at] === '"' ? quoted(text, at) : plain(text, at, delimiter);
    row.push(cell.value);
    at = cell.end;
    if (text[at] === delimiter) {
      at += 1;
      if (at === text.length) row.push("");
      continue;
    }
    at += text.startsWith("\r\n", at) ? 2 : 1;
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  if (row.length > 0 && rows.length < most) rows.push(row);
  return { rows, isCut: at < text.length };
}

function quoted(text: string, start: number): { value: string; end: number } {
  let at = start + 1;
  let value = "";
  while (at < text.length) {
    if (text[at] !== '"') value += text[at++];
    else if (text[at + 1] === '"') {
      value += '"';
      at += 2;
    } else return { value, end: at + 1 };
  }
  return { value, end: at };
}

function plain(text: string, start: number, delimiter: string): { value: string; end: number } {
  let at = start;
  while (at < text.length && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r") at += 1;
  return { value: text.slice(start, at), end: at };
}

function isNumeric(rows: string[][], column: number): boolean {
  const filled = rows.map((row) => (row[column] ?? "").trim()).filter((cell) => cell !== "");
  return filled.length > 0 && filled.filter(isNumber).length >= filled.length * 0.9;
}

function isNumber(cell: string): boolean {
  return number(cell) !== null;
}

function number(cell: string): number | null {
  const text = cell.trim();
  if (text === "" || !/^[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?%?$/.test(text)) return null;
  return Number(text.replace(/[_%]/g, ""));
}
