"""Where LoRA files come from: `lora_manifest.json` beside them, in the form that other versions of Scope read (contract 6.1)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scope.errors import Unavailable

NAME = "lora_manifest.json"
SIZE_LIMIT_BYTES = 32 << 20
_writing = threading.Lock()
Entry = dict[str, Any]  # filename, provenance, sha256, size_bytes, added_at, and what the source said of it


@dataclass(frozen=True, slots=True)
class Origin:
    """What the manifest calls provenance."""

    source: str
    repo_id: str | None = None
    hf_filename: str | None = None
    model_id: str | None = None
    version_id: str | None = None
    url: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)  # trigger_words, base_model, as the source has them

    def provenance(self) -> dict[str, str]:
        names = ("source", "repo_id", "hf_filename", "model_id", "version_id", "url")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Manifest:
    folder: Path

    def entries(self) -> dict[str, Entry]:
        """By path below the folder; empty when there is none or it cannot be read."""
        try:
            with (self.folder / NAME).open("rb") as file:
                found = json.loads(file.read(SIZE_LIMIT_BYTES))
            return {str(name): entry for name, entry in found["entries"].items() if isinstance(entry, dict)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def note(self, relative: str, origin: Origin, sha256: str | None, size_bytes: int) -> Entry:
        """Raises Unavailable."""
        entry: Entry = {
            "filename": relative,
            "provenance": origin.provenance(),
            "sha256": sha256,
            "size_bytes": size_bytes,
            "added_at": datetime.now(UTC).isoformat(),
        }
        if origin.about:
            entry["about"] = dict(origin.about)
        self._change(lambda entries: entries.__setitem__(relative, entry))
        return entry

    def forget(self, relative: str) -> None:
        """Raises Unavailable."""
        if relative in self.entries():
            self._change(lambda entries: entries.pop(relative, None))

    def _change(self, change: Callable[[dict[str, Entry]], object]) -> None:
        path = self.folder / NAME
        unfinished = path.with_name(f".{NAME}.{os.getpid()}.new")
        with _writing:
            entries = self.entries()
            change(entries)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                unfinished.write_text(json.dumps({"version": "1.0", "entries": entries}, indent=2))
                unfinished.replace(path)
            except OSError as error:
                raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
