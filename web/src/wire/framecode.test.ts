import { describe, expect, it } from "vitest";
import { cells, read } from "./framecode";

function picture(number: number, level: number, white = 235, black = 16): (row: number, cell: number) => number {
  const rows = cells(number, level);
  return (row, cell) => (rows[row]?.[cell] ? white : black);
}

describe("frame code", () => {
  it("reads back what it writes, also through a dull picture", () => {
    for (const number of [0, 1, 4711, 0xffffff]) {
      expect(read(picture(number, 200))).toEqual({ number, level: 200 });
      expect(read(picture(number, 3, 170, 90))).toEqual({ number, level: 3 });
    }
  });
  it("agrees with framecode.py on 4711: reference cells, 24 bits, check 0xa5 ^ n ^ n>>8 ^ n>>16", () => {
    const [top] = cells(4711);
    expect(top.map(Number).join("")).toBe("10" + "000000000001001001100111" + "11010000" + "000000");
  });
  it("refuses a damaged code and a picture without one", () => {
    const good = picture(77, 1);
    expect(read((row, cell) => (row === 0 && cell === 20 ? 235 : good(row, cell)))).toBeNull();
    expect(read(() => 128)).toBeNull();
  });
});
