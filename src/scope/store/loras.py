"""The LoRA files on this machine: what there is, what each is good for, removing one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from scope.errors import BadInput, Denied, NotFound, Unavailable
from scope.store import header
from scope.store.header import About
from scope.store.manifest import Entry, Manifest, Origin
from scope.store.models import sha256

SUFFIX = ".safetensors"
COUNT_LIMIT = 10_000
Mark = tuple[str, int, int]  # path, size, time of the last change: as long as it stays, so does what was read


@dataclass(frozen=True, slots=True)
class LoraFile:
    name: str
    path: str
    size_bytes: int
    folder: str | None
    read_only: bool
    relative: str  # below its root
    sha256: str | None = None  # None: not computed yet
    provenance: Mapping[str, Any] | None = None
    about: About = About()


@dataclass
class Loras:
    root: Path
    shared: Path | None = None  # read-only ones besides our own
    hashes_file: Path | None = None  # where computed hashes are remembered
    _known: dict[Mark, About] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def manifest(self) -> Manifest:
        return Manifest(self.root)

    def list(self, *, hashed: bool = False) -> list[LoraFile]:
        """Sorted by folder and name. With `hashed`, every SHA-256 is computed that is not known yet, which may take long."""
        entries, hashes = self.manifest.entries(), self._hashes()
        before = len(hashes)
        found = [
            self._file(path, root, entries if root == self.root else {}, hashes, hashed=hashed)
            for root in (self.root, self.shared)
            if root is not None
            for path in islice(_walk(root), COUNT_LIMIT)
        ]
        if len(hashes) > before:
            self._remember(hashes)
        kept = [file for file in found if file is not None]
        return sorted(kept, key=lambda file: (file.folder or "", file.name))

    def _file(
        self, path: Path, root: Path, entries: Mapping[str, Entry], hashes: dict[str, str], *, hashed: bool
    ) -> LoraFile | None:
        """None when it has just been removed."""
        try:
            stat = path.stat()
        except OSError:
            return None
        relative, folder = path.relative_to(root).as_posix(), path.parent.relative_to(root).as_posix()
        mark = (str(path), stat.st_size, stat.st_mtime_ns)
        entry = entries.get(relative, {})
        if entry.get("size_bytes") != stat.st_size:
            entry = {"provenance": entry.get("provenance")}  # another file took its name
        provenance = entry.get("provenance")
        return LoraFile(
            name=path.stem,
            path=str(path.absolute()),
            size_bytes=stat.st_size,
            folder=None if folder == "." else folder,
            read_only=root != self.root,
            relative=relative,
            sha256=_sha256(path, mark, entry, hashes, compute=hashed),
            provenance=provenance if isinstance(provenance, dict) else None,
            about=_with_source(self._about(path, mark), entry),
        )

    def _about(self, path: Path, mark: Mark) -> About:
        with self._lock:
            if mark in self._known:
                return self._known[mark]
        found = header.about(path)
        with self._lock:
            if len(self._known) > COUNT_LIMIT:
                self._known.clear()
            self._known[mark] = found
        return found

    def find(self, name: str) -> LoraFile:
        """By path below the folder, or by name where only one has it. Raises NotFound, or BadInput when several do."""
        everything = self.list()
        wanted = name.replace("\\", "/").removesuffix(SUFFIX)
        exact = [file for file in everything if file.relative.removesuffix(SUFFIX) == wanted]
        found = exact or [file for file in everything if file.name == wanted]
        if not found:
            raise NotFound(f"There is no LoRA {name[:80]!r}.")
        own = [file for file in found if not file.read_only] or found
        if len(own) > 1:
            raise BadInput(f"There are several: {', '.join(file.relative for file in own[:5])}; name one with its folder.")
        return own[0]

    def remove(self, name: str) -> LoraFile:
        """Raises NotFound, BadInput, Denied for one that is not ours, Unavailable."""
        file = self.find(name)
        path = Path(file.path)
        if file.read_only:
            raise Denied(f"{file.relative} lies in the shared folder, which is only read.")
        if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(self.root)):
            raise Denied(f"{file.relative} lies outside the LoRA folder, behind a link.")
        try:
            path.unlink()
        except FileNotFoundError:
            raise NotFound(f"There is no LoRA {name[:80]!r}.") from None
        except OSError as error:
            raise Unavailable(f"{file.relative} cannot be removed: {error.strerror}.") from error
        self.manifest.forget(file.relative)
        return file

    def hashed(self, file: LoraFile) -> LoraFile:
        """The same, with its SHA-256. Raises NotFound when it is gone."""
        try:
            return file if file.sha256 else replace(file, sha256=sha256(Path(file.path)))
        except OSError:
            raise NotFound(f"There is no LoRA {file.relative}.") from None

    def set_origin(self, name: str, provenance: Mapping[str, Any]) -> Entry:
        """Write down where a file of ours came from, in the manifest's words. Raises NotFound, BadInput, Denied, Unavailable."""
        file = self.find(name)
        if file.read_only:
            raise Denied(f"{file.relative} lies in the shared folder, which is only read.")
        known = self.hashed(file)
        origin = Origin(**{name: value for name, value in provenance.items() if value is not None})
        return self.manifest.note(file.relative, origin, known.sha256, known.size_bytes)

    # -- hashes -------------------------------------------------------------------------------------------------------

    def _hashes(self) -> dict[str, str]:
        try:
            found = json.loads(self.hashes_file.read_text()) if self.hashes_file else {}
            return {str(mark): str(value) for mark, value in found.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}

    def _remember(self, hashes: Mapping[str, str]) -> None:
        """Only what can be computed again is lost when it cannot be written."""
        if self.hashes_file is None:
            return
        unfinished = self.hashes_file.with_name(f".{self.hashes_file.name}.{os.getpid()}.new")
        try:
            self.hashes_file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(hashes, indent=1))
            unfinished.replace(self.hashes_file)
        except OSError:
            return


def _sha256(path: Path, mark: Mark, entry: Entry, hashes: dict[str, str], *, compute: bool) -> str | None:
    key = "|".join(str(part) for part in mark)
    known = hashes.get(key) or entry.get("sha256")
    if known is None and compute:
        try:
            known = hashes[key] = sha256(path)
        except OSError:
            return None
    return known if isinstance(known, str) else None


def _with_source(found: About, entry: Entry) -> About:
    """Completed by what the place of origin says."""
    told = entry.get("about")
    if not isinstance(told, dict):
        return found
    words = told.get("trigger_words")
    return About(
        found.base_model or (str(told["base_model"]) if told.get("base_model") else None),
        found.pipelines,
        found.rank,
        found.trigger_words or (header.clean_words(words) if isinstance(words, list) else ()),
        found.problem,
    )


def _walk(root: Path) -> Iterator[Path]:
    """Links are followed, circles are not."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() == SUFFIX and path.is_file():
                yield path
