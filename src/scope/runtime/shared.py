"""A block of memory that two processes see, which frees itself with its last view.

`multiprocessing.shared_memory` cannot be closed while a numpy view or an encoder still holds its pixels; a plain `mmap`
can be forgotten at any time and is unmapped when the last view is gone. On Linux it is a file in memory (`/dev/shm`), with
its pages reserved at once so that a full `/dev/shm` is an error here and not a crash later; on Windows a named mapping of
the page file; on macOS an unlinked temporary file (Windows and macOS were not run).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import sys
import tempfile
from pathlib import Path

from scope.errors import Unavailable


def create(size_bytes: int) -> tuple[str, mmap.mmap]:
    """A new block and the name under which the other process finds it. Raises Unavailable when memory is full."""
    name = f"scope-{os.getpid()}-{secrets.token_hex(6)}"
    if sys.platform == "win32":
        return name, mmap.mmap(-1, size_bytes, tagname=name)
    descriptor = os.open(_path(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _reserve(descriptor, size_bytes)
        return name, mmap.mmap(descriptor, size_bytes)
    except OSError as error:
        forget(name)
        raise Unavailable(f"no shared memory left for {size_bytes >> 20} MiB of frames in {_folder()}: {error}") from error
    finally:
        os.close(descriptor)


def attach(name: str, size_bytes: int) -> mmap.mmap:
    """The block the other process created; its name is removed at once. Raises FileNotFoundError when it is gone."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size_bytes, tagname=name)
    descriptor = os.open(_path(name), os.O_RDWR)
    try:
        return mmap.mmap(descriptor, size_bytes)
    finally:
        os.close(descriptor)
        forget(name)


def forget(name: str) -> None:
    """Remove the name, if it is still there; the memory lives on in those who hold it."""
    if sys.platform != "win32":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_path(name))


def sweep(pid: int) -> None:
    """Remove the names a process that was killed had no time to hand over."""
    if sys.platform != "win32":
        for path in _folder().glob(f"scope-{pid}-*"):
            forget(path.name)


def _folder() -> Path:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else Path(tempfile.gettempdir())


def _path(name: str) -> Path:
    return _folder() / name


def _reserve(descriptor: int, size_bytes: int) -> None:
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:
        os.ftruncate(descriptor, size_bytes)
