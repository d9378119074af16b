"""Keep a long-lived server small: the C library's allocator, told about threads that come and go.

Every viewer brings a decoder thread and leaves. glibc gives new threads heaps of their own and keeps what they freed, so that the
server grew by 30 MB over 60 visits (bench/stream.py); two heaps that give memory back halve that, at no cost we could measure.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h> of glibc
MIB = 1 << 20


def settle() -> bool:
    """To be called before threads start. False where the C library is another one."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    limits = ((M_ARENA_MAX, 2), (M_TRIM_THRESHOLD, 2 * MIB), (M_MMAP_THRESHOLD, MIB))
    return all([mallopt(name, value) == 1 for name, value in limits])
