"""A number and a level written into a picture as black and white cells, readable after any codec and any scaling.

Two rows at the top of the picture, each `height / ROWS` high, of CELLS cells `width / CELLS` wide:
row 0: white, black, 24 bits of the number (highest first), 8 check bits, black to the end;
row 1: white, black, 8 bits of the level (highest first), 8 check bits, black to the end.
check(number) = (n ^ n >> 8 ^ n >> 16 ^ 0xA5) & 0xFF; check(level) = level ^ 0x5A.
A reader samples the centre of each cell against the mean of the two reference cells. The page, the benchmarks and the
tests read what `test-pattern` and the benchmark's camera write.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS, ROWS = 40, 32
NUMBER_BITS, LEVEL_BITS, CHECK_BITS = 24, 8, 8
NUMBERS = 1 << NUMBER_BITS
WHITE, BLACK = 235, 16
Bytes = NDArray[np.uint8]


def draw(picture: Bytes, number: int, level: int = 0) -> None:
    """Write the code into `picture` [height, width] or [height, width, channels], in place."""
    height, width = picture.shape[:2]
    for row, bits in enumerate((_number_bits(number % NUMBERS), _level_bits(level & 0xFF))):
        line = np.full(CELLS, BLACK, np.uint8)
        line[0] = WHITE
        line[2 : 2 + len(bits)] = np.where(bits, WHITE, BLACK)
        columns = line[np.arange(width) * CELLS // width]
        top, bottom = row * height // ROWS, (row + 1) * height // ROWS
        picture[top:bottom] = columns if picture.ndim == 2 else columns[:, None]


def read(luma: NDArray[Any]) -> tuple[int, int] | None:
    """(number, level) out of `luma` [height, width]; None when there is no code or it is damaged."""
    number = _read_row(luma, 0, NUMBER_BITS)
    level = _read_row(luma, 1, LEVEL_BITS)
    if number is None or level is None:
        return None
    if number[1] != _number_check(number[0]) or level[1] != level[0] ^ 0x5A:
        return None
    return number[0], level[0]


def _read_row(luma: NDArray[Any], row: int, bits: int) -> tuple[int, int] | None:
    height, width = luma.shape
    y = int((row + 0.5) * height / ROWS)
    cells = luma[y, ((np.arange(CELLS) + 0.5) * width / CELLS).astype(int)].astype(int)
    if cells[0] - cells[1] < 64:
        return None
    ones = cells > (cells[0] + cells[1]) // 2
    return _value(ones[2 : 2 + bits]), _value(ones[2 + bits : 2 + bits + CHECK_BITS])


def _value(bits: NDArray[np.bool_]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _bits(value: int, count: int) -> list[int]:
    return [value >> (count - 1 - i) & 1 for i in range(count)]


def _number_bits(number: int) -> list[int]:
    return _bits(number, NUMBER_BITS) + _bits(_number_check(number), CHECK_BITS)


def _level_bits(level: int) -> list[int]:
    return _bits(level, LEVEL_BITS) + _bits(level ^ 0x5A, CHECK_BITS)


def _number_check(number: int) -> int:
    return (number ^ number >> 8 ^ number >> 16 ^ 0xA5) & 0xFF
