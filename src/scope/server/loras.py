"""LoRA files: where they lie and what the folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class LoraFile:
    name: str
    path: str
    size_mb: float
    folder: str | None
    read_only: bool = False


def scan(root: Path, shared: Path | None = None) -> list[LoraFile]:
    """Every *.safetensors below `root` and, read-only, below `shared`, sorted by folder and name.

    Links are followed, circles are not.
    """
    found = list(islice(_walk(root), COUNT_LIMIT))
    if shared is not None:
        found += [replace(file, read_only=True) for file in islice(_walk(shared), COUNT_LIMIT)]
    return sorted(found, key=lambda file: (file.folder or "", file.name))


def _walk(root: Path) -> Iterator[LoraFile]:
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() == ".safetensors" and path.is_file():
                below = path.parent.relative_to(root).as_posix()
                size_mb = round(path.stat().st_size / (1 << 20), 2)
                yield LoraFile(path.stem, str(path.absolute()), size_mb, None if below == "." else below)
