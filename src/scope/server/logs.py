"""The log file: where it is, how long it is kept, and reading its end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORM = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
NAMES = "scope-logs-*.log*"
FILE_BYTES, FILE_COUNT = 5 << 20, 5
KEPT_S = 24 * 3600.0
TAIL_BYTES = 1 << 20
QUIET = ("aioice", "aiortc", "httpx", "httpx2", "multipart", "PIL", "uvicorn.access", "asyncio")


@dataclass(frozen=True, slots=True)
class Tail:
    lines: list[str]
    offset: int  # where the next reading goes on


def begin(folder: Path, *, console: bool = True, verbose: bool = False, quiet: Iterable[str] = ()) -> Path | None:
    """Log to a fresh file in `folder`, warnings also to the console. None when the folder cannot be written."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in (*(() if verbose else QUIET), *quiet):
        logging.getLogger(name).setLevel(logging.WARNING)
    if console:
        loud = logging.StreamHandler(sys.stderr)
        loud.setLevel(logging.WARNING)
        loud.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        root.addHandler(loud)
    path = folder / time.strftime("scope-logs-%Y-%m-%d-%H-%M-%S.log")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, time.time() - KEPT_S)
        file = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILE_COUNT, encoding="utf-8", errors="replace")
    except OSError as error:
        root.warning("no log file: %s", error)
        return None
    file.setFormatter(logging.Formatter(FORM))
    root.addHandler(file)
    return path


def sweep(folder: Path, before_s: float) -> None:
    """Remove log files last written before a time."""
    for old in folder.glob(NAMES):
        if old.stat().st_mtime < before_s:
            old.unlink(missing_ok=True)


def current(folder: Path) -> Path | None:
    """The newest log file; None when there is none."""
    files = [path for path in folder.glob("scope-logs-*.log") if path.is_file()]
    return max(files, key=lambda path: (path.stat().st_mtime, path.name), default=None)


def tail(path: Path, lines: int, since_offset: int) -> Tail:
    """The last lines, or what was appended since an offset: whole lines only, and never more than a megabyte of them."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        wanted = since_offset if since_offset <= size else 0  # smaller than the offset: the file was rotated
        start = max(wanted, size - TAIL_BYTES)
        file.seek(max(0, start - 1))
        mid_line = start > wanted and start > 0 and file.read(1) != b"\n"
        file.seek(start)
        data = file.read(TAIL_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    found = whole.decode(errors="replace").splitlines()[1 if mid_line else 0 :]
    return Tail(found[-lines:], start + len(whole))
