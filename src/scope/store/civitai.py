"""CivitAI: from a model or version number to the file and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scope.errors import BadInput, NotFound, Unavailable
from scope.store.fetch import Web
from scope.store.header import clean_words
from scope.store.transfer import Patience, Stop, patiently

NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
PAGE = re.compile(r"/models/(\d{1,15})(?:/[^/]*)?/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of a model."""

    url: str
    filename: str
    model_id: str
    version_id: str
    sha256: str | None
    trigger_words: tuple[str, ...]
    base_model: str | None


@dataclass(frozen=True)
class Civitai:
    web: Web
    address: str = "https://civitai.com"
    patience: Patience = Patience()

    def version(self, version_id: str, stop: Stop | None = None) -> Offer:
        """Raises BadInput, Denied, NotFound, Unavailable."""
        return self._offer(self._ask(f"model-versions/{_number(version_id)}", stop))

    def newest(self, model_id: str, stop: Stop | None = None) -> Offer:
        """The version that the model's page shows first. Raises as `version`."""
        model = self._ask(f"models/{_number(model_id)}", stop)
        versions = model.get("modelVersions")
        if not isinstance(versions, list) or not versions or not isinstance(versions[0], Mapping):
            raise NotFound(f"Model {model_id} has no version on CivitAI.")
        return self._offer({"modelId": model_id} | dict(versions[0]))

    def _ask(self, what: str, stop: Stop | None) -> Mapping[str, Any]:
        url = f"{self.address.rstrip('/')}/api/v1/{what}"
        found, _ = patiently(lambda: self.web.json(url), self.patience, stop or Stop())
        if not isinstance(found, Mapping):
            raise Unavailable("CivitAI does not answer as expected.")
        return found

    def _offer(self, version: Mapping[str, Any]) -> Offer:
        files = [file for file in version.get("files") or () if isinstance(file, Mapping)]
        fitting = [file for file in files if str(file.get("name", "")).lower().endswith(".safetensors")]
        if not fitting:
            raise NotFound("That version has no safetensors file on CivitAI.")
        chosen = next((file for file in fitting if file.get("primary")), fitting[0])
        hashes = chosen.get("hashes")
        sha256 = hashes.get("SHA256") if isinstance(hashes, Mapping) else None
        words = version.get("trainedWords")
        base = version.get("baseModel")
        return Offer(
            url=str(chosen.get("downloadUrl") or version.get("downloadUrl") or ""),
            filename=str(chosen["name"]),
            model_id=str(version.get("modelId", "")),
            version_id=str(version.get("id", "")),
            sha256=sha256.lower() if isinstance(sha256, str) and len(sha256) == 64 else None,
            trigger_words=clean_words(words) if isinstance(words, list) else (),
            base_model=base[:200] if isinstance(base, str) else None,
        )


def of_page(url: str) -> tuple[str | None, str | None]:
    """(model number, version number) of the address of a model's page; nothing for another address."""
    parts = urlsplit(url)
    match = PAGE.fullmatch(parts.path)
    if match is None:
        return None, None
    version = parse_qs(parts.query).get("modelVersionId", [""])[0]
    return match[1], version if NUMBER.fullmatch(version) else None


def _number(text: str) -> str:
    if not NUMBER.fullmatch(text):
        raise BadInput("Models and versions on CivitAI are named by numbers.")
    return text
