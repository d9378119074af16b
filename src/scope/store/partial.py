"""A file that is not whole yet: it lies beside its place, has one writer at a time, and takes its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from scope.published import UNFINISHED

TAG_CHARS = 12
BLOCK_BYTES = 1 << 20
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # by another


def beside(target: Path, identity: str) -> Path:
    """Where the unfinished file lies. What is known of the file is part of the name, so that two versions never mix."""
    tag = hashlib.sha256(identity.encode()).hexdigest()[:TAG_CHARS]
    return target.with_name(f"{target.name}.{tag}{UNFINISHED}")


class Partial:
    """Bytes on the disk and the hash of them. Only `claim` makes one."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._hash = hashlib.sha256()
        self._hashed_bytes = 0
        self.size = file.seek(0, os.SEEK_END)

    def append(self, piece: bytes) -> None:
        """Raises OSError when the disk is full."""
        self._file.write(piece)
        if self._hashed_bytes == self.size:
            self._hash.update(piece)
            self._hashed_bytes += len(piece)
        self.size += len(piece)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash, self._hashed_bytes, self.size = hashlib.sha256(), 0, 0

    def sha256(self) -> str:
        self.catch_up()
        return self._hash.hexdigest()

    def become(self, target: Path) -> None:
        """The last step: whole, and on the disk, before it has its name."""
        self.flush()
        os.fsync(self._file.fileno())
        if sys.platform == "win32":  # an open file cannot be renamed there
            self._file.close()
        os.replace(self.path, target)

    def flush(self) -> None:
        self._file.flush()

    def discard(self) -> None:
        self.restart()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def catch_up(self) -> None:
        """Hash what an earlier attempt left: minutes for a large file, so not while a server waits."""
        if self._hashed_bytes == self.size:
            return
        self._file.flush()
        self._file.seek(self._hashed_bytes)
        while piece := self._file.read(BLOCK_BYTES):
            self._hash.update(piece)
        self._hashed_bytes = self.size
        self._file.seek(0, os.SEEK_END)


@contextlib.contextmanager
def claim(path: Path) -> Iterator[Partial | None]:
    """The unfinished file, held until the end of the block; None when another thread or process holds it. Raises OSError."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644), "r+b") as file:
        if not _lock(file.fileno()) or not _is_still(file.fileno(), path):
            yield None
            return
        partial = Partial(path, file)
        try:
            yield partial
        finally:
            if partial.size == 0 and not file.closed and _is_still(file.fileno(), path):
                with contextlib.suppress(OSError):
                    path.unlink()


def _lock(handle: int) -> bool:
    """Ends with the handle, however that ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 0x7FFFFFFF, os.SEEK_SET)  # a byte far behind the data: locks are mandatory there
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in HELD  # a file system without locks: go on, as if alone
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether the path leads to the open file, and not to a fresh one after a rename."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
