"""Hugging Face: what a repository holds, and where its files are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scope.errors import BadInput, NotFound, Unavailable
from scope.store.fetch import Web
from scope.store.safety import plain_path
from scope.store.transfer import Patience, Stop, patiently

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
PAGES_LIMIT = 50


@dataclass(frozen=True, slots=True)
class HubFile:
    path: str  # below the repository
    url: str
    size_bytes: int
    sha256: str | None  # known for large files


@dataclass(frozen=True)
class Hub:
    web: Web
    address: str = "https://huggingface.co"
    patience: Patience = Patience()

    def url(self, repo: str, path: str) -> str:
        """Raises BadInput for what cannot be the name of a repository or a file."""
        if not REPO.fullmatch(repo) or ".." in repo:
            raise BadInput(f"{repo[:80]!r} is not the name of a repository, such as 'daydreamlive/LongLive-1.3B'.")
        return f"{self.address.rstrip('/')}/{repo}/resolve/main/{quote(str(plain_path(path)))}"

    def files(self, repo: str, stop: Stop | None = None) -> dict[str, HubFile]:
        """Everything in a repository by path. Raises BadInput, Denied, NotFound, Unavailable."""
        self.url(repo, "a")
        page: str | None = f"{self.address.rstrip('/')}/api/models/{repo}/tree/main?recursive=true"
        found: dict[str, HubFile] = {}
        for _ in range(PAGES_LIMIT):
            if page is None:
                break
            asked = page
            entries, page = patiently(lambda: self.web.json(asked), self.patience, stop or Stop())  # noqa: B023 - called at once
            found |= {file.path: file for file in self._read(repo, entries)}
        return found

    def _read(self, repo: str, entries: Any) -> Iterable[HubFile]:
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, Mapping) or entry.get("type") != "file":
                continue
            large = entry["lfs"] if isinstance(entry.get("lfs"), Mapping) else {}
            path, size, sha256 = entry.get("path"), large.get("size", entry.get("size")), large.get("oid")
            if not isinstance(path, str) or not isinstance(size, int):
                raise Unavailable("Hugging Face does not answer as expected.")
            try:
                url = self.url(repo, path)
            except BadInput:  # such as .gitattributes: of no use here
                continue
            yield HubFile(path, url, size, sha256.lower() if isinstance(sha256, str) and len(sha256) == 64 else None)


def below(files: Mapping[str, HubFile], path: str) -> list[HubFile]:
    """The file at `path`, or those of the folder. Raises NotFound."""
    found = [file for name, file in files.items() if name == path or name.startswith(f"{path}/")]
    if not found:
        raise NotFound(f"The repository has no file {path}.")
    return found
