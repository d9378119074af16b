"""Weights on this machine: which pipelines have theirs, fetching what is missing, checking, removing."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from scope.errors import Busy, NotFound, Unavailable
from scope.published import CONFIG, FILES, NEEDS, UNFINISHED, Published, rows
from scope.store.downloads import Downloads, Job
from scope.store.hub import Hub, HubFile, below
from scope.store.transfer import Wanted

READ_BYTES = 4 << 20
Verdict = Literal["good", "missing", "damaged", "unknown"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What one repository contributes to a pipeline."""

    repo: str
    files: tuple[str, ...]
    present: bool
    about_bytes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found out about one file."""

    path: Path
    verdict: Verdict
    told: str = ""


@dataclass(frozen=True)
class Models:
    folder: Path
    hub: Hub
    downloads: Downloads

    # -- what is here -------------------------------------------------------------------------------------------------

    def artifacts(self, pipeline: str) -> list[Artifact]:
        """By repository; empty for a pipeline without weights."""
        grouped = [(repo, list(found)) for repo, found in groupby(sorted(rows(pipeline), key=_repo), _repo)]
        return [
            Artifact(
                repo,
                tuple(row.file for row in found),
                all(row.present(self.folder) for row in found),
                sum(row.megabytes for row in found) * 1_000_000,
            )
            for repo, found in grouped
        ]

    def present(self, pipeline: str) -> bool:
        """Whether everything is here; true for a pipeline without weights."""
        return all(row.present(self.folder) for row in rows(pipeline))

    def about_bytes(self, pipeline: str) -> int:
        """About how much a complete download is."""
        return sum(row.megabytes for row in rows(pipeline)) * 1_000_000

    def bytes_here(self, pipeline: str) -> int:
        """How much of a pipeline lies on the disk."""
        paths = [self._path(row.repo, part) for row in rows(pipeline) for part in row.parts]
        return sum(path.stat().st_size for path in paths if path.is_file())

    # -- fetching -----------------------------------------------------------------------------------------------------

    def job(self, pipeline: str) -> Job | None:
        """The running or last download."""
        return self.downloads.get(pipeline)

    def download(self, pipeline: str) -> Job | None:
        """Fetch what is missing; None when nothing is. Raises Busy, NotFound for a pipeline without known weights."""
        if not list(rows(pipeline)):
            raise NotFound(f"It is not known which weights {pipeline[:80]!r} needs; there are: {', '.join(NEEDS)}.")
        if self.present(pipeline):
            return None
        return self.downloads.start(pipeline, lambda: self._missing(pipeline))

    def _missing(self, pipeline: str) -> list[Wanted]:
        """What to fetch, small files first so that mistakes show at once."""
        wanted: list[Wanted] = []
        for repo, found in _by_repo(pipeline):
            absent = [row for row in found if row.file != CONFIG and not row.present(self.folder)]
            config = self._path(repo, CONFIG)
            if not absent and config.is_file():
                continue
            offered = self.hub.files(repo)
            files = [file for row in absent for part in row.parts for file in below(offered, part)]
            files += [offered[CONFIG]] if CONFIG in offered and not config.is_file() else []
            wanted += [self._wanted(repo, file) for file in files]
        return sorted(wanted, key=lambda file: file.size_bytes or 0)

    def _wanted(self, repo: str, file: HubFile) -> Wanted:
        return Wanted(file.url, self._path(repo, file.path), f"{repo}/{file.path}", file.size_bytes, file.sha256)

    def _path(self, repo: str, part: str) -> Path:
        return self.folder / repo.partition("/")[2] / part

    # -- checking and removing ----------------------------------------------------------------------------------------

    def verify(self, pipeline: str, read: Callable[[int], None] = lambda _bytes: None) -> Iterator[Finding]:
        """Compare every file with what the hub says of it; `read` is told how many bytes were read.

        Raises as `Hub.files`.
        """
        for repo, found in _by_repo(pipeline):
            offered = self.hub.files(repo)
            for part in (part for row in found if row.file != CONFIG for part in row.parts):
                path = self._path(repo, part)
                yield _examine(path, offered.get(part), read)

    def repair(self, findings: Iterable[Finding]) -> list[Path]:
        """Remove what is damaged, so that the next download fetches it again."""
        damaged = [finding.path for finding in findings if finding.verdict == "damaged"]
        for path in damaged:
            path.unlink(missing_ok=True)
        return damaged

    def remove(self, pipeline: str) -> int:
        """Delete a pipeline's weights, but not what another one that is here needs; the number of bytes that became free.

        Raises Busy while they are being fetched, NotFound when there is nothing, Unavailable.
        """
        job = self.job(pipeline)
        if job is not None and not job.over:
            raise Busy(f"The weights of {pipeline} are being downloaded; cancel that first.")
        others = {row for other in NEEDS if other != pipeline and self.present(other) for row in rows(other)}
        doomed = [row for row in rows(pipeline) if row not in others]
        freed = sum(self._remove(row) for row in doomed)
        if not freed:
            raise NotFound(f"There are no weights that only {pipeline[:80]} needs.")
        return freed

    def _remove(self, row: Published) -> int:
        freed = 0
        for part in row.parts:
            path = self._path(row.repo, part)
            for found in (path, *path.parent.glob(f"{path.name}.*{UNFINISHED}")):
                with contextlib.suppress(FileNotFoundError):
                    size = found.stat().st_size
                    try:
                        found.unlink()
                    except PermissionError as error:
                        raise Unavailable(f"{found} cannot be removed: {error.strerror}.") from error
                    freed += size
        return freed


def _by_repo(pipeline: str) -> list[tuple[str, list[Published]]]:
    """Everything a pipeline brings along, also what it can do without."""
    found = sorted((FILES[name] for name in NEEDS.get(pipeline, ())), key=_repo)
    return [(repo, list(group)) for repo, group in groupby(found, _repo)]


def _repo(row: Published) -> str:
    return row.repo


def _examine(path: Path, offered: HubFile | None, read: Callable[[int], None]) -> Finding:
    if not path.is_file():
        return Finding(path, "missing")
    if offered is None:
        return Finding(path, "unknown", "the repository has no such file any more")
    size = path.stat().st_size
    if size != offered.size_bytes:
        return Finding(path, "damaged", f"{size:,} bytes instead of {offered.size_bytes:,}")
    if offered.sha256 is None:
        read(size)
        return Finding(path, "good", "size only")
    if sha256(path, read) != offered.sha256:
        return Finding(path, "damaged", "another SHA-256 than the hub's")
    return Finding(path, "good", "SHA-256")


def sha256(path: Path, read: Callable[[int], None] = lambda _bytes: None) -> str:
    """Of a file, read once. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
            read(len(piece))
    return digest.hexdigest()
