"""From a mapped file into a model's own memory, with hardly more than the model itself resident at any time.

Reading a mapped page makes it resident beside the copy. So tensors are copied in slices, and the pages of each slice are given
back to the system before the next one is read.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

SLICE_BYTES = 32 << 20
MADV_DONTNEED = 4
MAPS = Path("/proc/self/maps")

Region = tuple[int, int]  # first address, and the one after the last


def regions_of(paths: Iterable[Path]) -> tuple[Region, ...]:
    """Where these files are mapped in this process; nothing where the system does not say (only Linux does)."""
    if not MAPS.exists():
        return ()
    wanted = {str(path.resolve()) for path in paths}
    rows = (line.split(maxsplit=5) for line in MAPS.read_text().splitlines())
    spans = [row[0].split("-") for row in rows if len(row) == 6 and row[5] in wanted]
    return tuple((int(first, 16), int(after, 16)) for first, after in spans)


def pour(source: Tensor, target: Tensor, regions: tuple[Region, ...] = ()) -> None:
    """Copy `source` into `target` (same shape; any device, any dtype); pages of `source` inside `regions` are given back."""
    if not source.is_contiguous() or not target.is_contiguous():
        target.copy_(source)
        return
    step = max(1, SLICE_BYTES // source.element_size())
    flat, into = source.view(-1), target.view(-1)
    for start in range(0, flat.numel(), step):
        part = flat[start : start + step]
        into[start : start + step].copy_(part)
        _release(part, regions)


def _release(part: Tensor, regions: tuple[Region, ...]) -> None:
    """Whole pages only, and only of mapped files: from there they come back if anyone looks; other memory would be lost."""
    page = os.sysconf("SC_PAGE_SIZE") if regions else 1
    begin, end = part.data_ptr(), part.data_ptr() + part.numel() * part.element_size()
    first, after = -(-begin // page) * page, end // page * page
    if after > first and any(low <= first and after <= high for low, high in regions):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(after - first), MADV_DONTNEED)
