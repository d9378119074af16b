/** A number and a level in a picture as black and white cells: the twin of `scope/pipelines/framecode.py`. */

export const CELLS = 40;
export const ROWS = 32;
export const NUMBERS = 1 << 24;

/** The two rows of cells for `number` and `level`; true is white. */
export function cells(number: number, level = 0): [boolean[], boolean[]] {
  const n = number % NUMBERS;
  return [line([...bits(n, 24), ...bits(numberCheck(n), 8)]), line([...bits(level, 8), ...bits(level ^ 0x5a, 8)])];
}

/** Reads the code; `luma(row, cell)` is the brightness at the centre of a cell. Null when there is none or it is damaged. */
export function read(luma: (row: number, cell: number) => number): { number: number; level: number } | null {
  const top = readRow(luma, 0, 24);
  const low = readRow(luma, 1, 8);
  if (!top || !low || top.check !== numberCheck(top.value) || low.check !== (low.value ^ 0x5a)) return null;
  return { number: top.value, level: low.value };
}

function readRow(luma: (row: number, cell: number) => number, row: number, count: number): { value: number; check: number } | null {
  const white = luma(row, 0);
  const black = luma(row, 1);
  if (white - black < 64) return null;
  const middle = (white + black) / 2;
  const value = (from: number, length: number): number => {
    let result = 0;
    for (let i = 0; i < length; i++) result = result * 2 + (luma(row, from + i) > middle ? 1 : 0);
    return result;
  };
  return { value: value(2, count), check: value(2 + count, 8) };
}

function line(code: boolean[]): boolean[] {
  const all = new Array<boolean>(CELLS).fill(false);
  all[0] = true;
  code.forEach((bit, i) => (all[2 + i] = bit));
  return all;
}

function bits(value: number, count: number): boolean[] {
  return Array.from({ length: count }, (_, i) => ((value >> (count - 1 - i)) & 1) === 1);
}

function numberCheck(n: number): number {
  return (n ^ (n >> 8) ^ (n >> 16) ^ 0xa5) & 0xff;
}
