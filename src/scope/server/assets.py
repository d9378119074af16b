"""The folder of uploads: nothing outside it is read or written, and nothing half written is ever seen."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from starlette.concurrency import run_in_threadpool

from scope.errors import BadInput, NotFound, Unavailable
from scope.store.safety import is_plain

Kind = Literal["image", "video", "audio"]
EXTENSIONS: dict[str, tuple[Kind, str]] = {
    ".png": ("image", "image/png"),
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".webp": ("image", "image/webp"),
    ".bmp": ("image", "image/bmp"),
    ".mp4": ("video", "video/mp4"),
    ".avi": ("video", "video/x-msvideo"),
    ".mov": ("video", "video/quicktime"),
    ".mkv": ("video", "video/x-matroska"),
    ".webm": ("video", "video/webm"),
    ".wav": ("audio", "audio/wav"),
    ".mp3": ("audio", "audio/mpeg"),
    ".flac": ("audio", "audio/flac"),
    ".ogg": ("audio", "audio/ogg"),
}
UNFINISHED = ".upload-"
UNFINISHED_KEPT_S = 3600.0
NAME_PARTS = 8


class Outside(Exception):
    """A path that leads out of the folder."""


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    path: str
    size_mb: float
    folder: str | None
    type: Kind
    created_at: float


@dataclass(frozen=True, slots=True)
class Shelf:
    """The uploads below one folder, which need not exist yet."""

    root: Path

    def list(self, kind: Kind | None = None) -> list[Asset]:
        """Newest first."""
        found = [self._about(path) for path in self._files()]
        return sorted((asset for asset in found if kind in (None, asset.type)), key=lambda asset: -asset.created_at)

    def _files(self) -> Iterator[Path]:
        home = self.root.resolve()
        for folder, folders, names in os.walk(home):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if not name.startswith(".") and path.suffix.lower() in EXTENSIONS and _is_inside(path, home):
                    yield path

    def _about(self, path: Path) -> Asset:
        about, folder = path.stat(), path.parent.relative_to(self.root.resolve()).as_posix()
        return Asset(
            name=path.stem,
            path=str(path),
            size_mb=round(about.st_size / (1 << 20), 2),
            folder=None if folder == "." else folder,
            type=EXTENSIONS[path.suffix.lower()][0],
            created_at=about.st_mtime,
        )

    def find(self, name: str) -> Path:
        """The file under a relative name, or under the absolute path that the list gave. Raises Outside or NotFound."""
        home = self.root.resolve()
        if "\0" in name:
            raise Outside
        tries = [path for path in (home / name, Path("/", name)) if path.is_absolute()]
        inside = [path for path in tries if _real(path).is_relative_to(home)]
        if not inside:
            raise Outside
        with contextlib.suppress(OSError):  # a name too long for the file system
            for path in inside:
                if path.suffix.lower() in EXTENSIONS and path.is_file():
                    return _real(path)
        raise NotFound("There is no such asset.")

    async def add(self, name: str, content: AsyncIterator[bytes], *, overwrite: bool = False) -> Asset:
        """Write an upload as it comes; it appears under its name when it is whole. Raises BadInput, Outside, Unavailable."""
        target = self._target(name)
        try:
            path = await self._receive(target, content, overwrite=overwrite)
            return await run_in_threadpool(self._about, path)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise BadInput("A file stands where the name needs a folder, or a folder where it needs a file.") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Unavailable("The disk is full; nothing was kept of the upload.") from error
            raise Unavailable(f"The assets folder cannot be written: {error.strerror}.") from error

    async def _receive(self, target: Path, content: AsyncIterator[bytes], *, overwrite: bool) -> Path:
        await run_in_threadpool(_make_room, target.parent)
        handle, unfinished = tempfile.mkstemp(prefix=UNFINISHED, suffix=target.suffix, dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in content:
                    await run_in_threadpool(file.write, piece)
                if file.tell() == 0:
                    raise BadInput("The upload is empty.")
            os.chmod(unfinished, 0o644)
            path = target if overwrite else _reserve(target)
            os.replace(unfinished, path)
            return path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)

    def _target(self, name: str) -> Path:
        home = self.root.resolve()
        parts = PurePosixPath(name).parts
        if not parts or len(parts) > NAME_PARTS or not all(is_plain(part) for part in parts):
            raise BadInput("The file name must be a plain relative name, such as 'clip.mp4' or 'folder/clip.mp4'.")
        target = home.joinpath(*parts)
        if target.suffix.lower() not in EXTENSIONS:
            raise BadInput(f"Files of this kind are not kept here; allowed are {', '.join(EXTENSIONS)}.")
        if not _real(target.parent).is_relative_to(home) or not _real(target).is_relative_to(home):
            raise Outside
        return target


def _is_inside(path: Path, home: Path) -> bool:
    return path.is_file() and _real(path).is_relative_to(home)


def _real(path: Path) -> Path:
    """Where a path leads; unlike Path.resolve, also for a link that leads to itself."""
    return Path(os.path.realpath(path))


def _make_room(folder: Path) -> None:
    """Make the folder, and clear what an interrupted server left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(UNFINISHED + "*"):
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - UNFINISHED_KEPT_S:
                old.unlink()


def _reserve(target: Path) -> Path:
    """`target`, or "name-2", "name-3", … when it is taken; taken at once by an empty file."""
    for number in itertools.count(1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return path
    raise AssertionError
