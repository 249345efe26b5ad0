import { describe, expect, test } from "vitest";
import { numbers, numericColumns, parseTable } from "./csv";

describe("reading a table", () => {
  test("the first line names the columns", () => {
    expect(parseTable("a,b\n1,2\n3,4\n", 10)).toEqual({ columns: ["a", "b"], rows: [["1", "2"], ["3", "4"]], isCut: false });
  });

  test("a first line of numbers only is a row, and the columns get names", () => {
    const table = parseTable("1;2\n3;4", 10);
    expect(table.columns).toEqual(["Column 1", "Column 2"]);
    expect(table.rows).toEqual([["1", "2"], ["3", "4"]]);
  });

  test("quoted cells keep commas, quotes and line ends", () => {
    expect(parseTable('name,note\n"A, B","said ""hi""\nthere"\r\nC,\n', 10).rows).toEqual([
      ["A, B", 'said "hi"\nthere'],
      ["C", ""],
    ]);
  });

  test("tabs and semicolons are found by themselves", () => {
    expect(parseTable("a\tb\n1\t2", 10).columns).toEqual(["a", "b"]);
    expect(parseTable("a;b\n1,5;2", 10).rows).toEqual([["1,5", "2"]]);
  });

  test("what is longer than asked for is cut and says so", () => {
    const table = parseTable("a\nx\ny\nz\n", 2);
    expect(table.rows).toEqual([["x"], ["y"]]);
    expect(table.isCut).toBe(true);
  });

  test("a mark at the beginning of the file and empty lines are left out", () => {
    expect(parseTable("\uFEFFa,b\n\n1,2\n\n", 10)).toEqual({ columns: ["a", "b"], rows: [["1", "2"]], isCut: false });
  });

  test("nothing is an empty table", () => {
    expect(parseTable("", 10)).toEqual({ columns: [], rows: [], isCut: false });
  });

  test("a quote that never ends does not hang", () => {
    expect(parseTable('a\n"open', 10).rows).toEqual([["open"]]);
  });
});

describe("columns for a plot", () => {
  const table = parseTable("t,name,v,mixed\n1,a,1e3,1\n2,b,,x\n3,c,-.5,y\n", 10);

  test("are those that hold numbers, gaps allowed", () => expect(numericColumns(table)).toEqual([0, 2]));
  test("give numbers and gaps", () => expect(numbers(table, 2)).toEqual([1000, null, -0.5]));
});
