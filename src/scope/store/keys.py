"""Keys to the places we fetch from: given by the environment, or stored here, readable by nobody else."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scope.errors import BadInput, Busy, NotFound, Unavailable
from scope.settings import Settings
from scope.store.fetch import Service
from scope.store.safety import place

KEY = re.compile(r"[!-~]{1,1000}", re.ASCII)  # what may stand in a header
KEY_FILE_BYTES = 4096
HUB_ADVICE = (
    "Hugging Face does not give this file to us: set a Hugging Face token (in the settings, or as HF_TOKEN), "
    "and accept the terms on the model's page if it has any."
)
CIVITAI_ADVICE = "CivitAI does not give this file to us: set a CivitAI token (in the settings, or as CIVITAI_API_TOKEN)."


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    name: str
    description: str
    env_var: str
    url: str  # where one gets it
    path: Path
    given: str | None  # by the environment
    origins: tuple[str, ...]  # who may see it
    advice: str

    @property
    def source(self) -> Literal["env_var", "stored"] | None:
        return "env_var" if self.given else "stored" if self._stored() else None

    @property
    def value(self) -> str | None:
        return self.given or self._stored()

    def _stored(self) -> str | None:
        try:
            with self.path.open("rb") as file:
                text = file.read(KEY_FILE_BYTES).decode("ascii").strip()
        except (OSError, ValueError):
            return None
        return text if KEY.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Keys:
    rows: Mapping[str, Key]

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """Raises BadInput for settings whose addresses cannot be read."""
        hub, civitai = place(settings.hub_url).origin, place(settings.civitai_url).origin
        rows = (
            Key(
                *("huggingface", "Hugging Face", "Downloads of models that ask for a token", "HF_TOKEN"),
                "https://huggingface.co/settings/tokens",
                settings.hub_token_file,
                settings.hub_token,
                (hub, "https://huggingface.co:443"),
                HUB_ADVICE,
            ),
            Key(
                *("civitai", "CivitAI", "Downloads of LoRAs", "CIVITAI_API_TOKEN"),
                "https://civitai.com/user/account",
                settings.base_dir / "civitai_token",
                settings.civitai_token,
                (civitai,),
                CIVITAI_ADVICE,
            ),
        )
        return cls({row.id: row for row in rows})

    def services(self, civitai_token: str | None = None) -> dict[str, Service]:
        """Who may see which key, by origin; read anew, so that a key works as soon as it is set."""
        values = {row.id: row.value for row in self.rows.values()}
        if civitai_token is not None and KEY.fullmatch(civitai_token):
            values["civitai"] = civitai_token
        return {origin: Service(row.name, values[row.id], row.advice) for row in self.rows.values() for origin in row.origins}

    def store(self, name: str, value: str) -> Key:
        """Raises NotFound, Busy when the environment decides, BadInput, Unavailable."""
        row = self._free(name)
        if not KEY.fullmatch(value.strip()):
            raise BadInput("A key is one word of plain characters.")
        try:
            row.path.parent.mkdir(parents=True, exist_ok=True)
            _write_secret(row.path, value.strip())
        except OSError as error:
            raise Unavailable(f"The key cannot be stored in {row.path.parent}: {error.strerror}.") from error
        return row

    def forget(self, name: str) -> Key:
        """Raises NotFound, Busy when the environment decides, Unavailable."""
        row = self._free(name)
        if row.source is None:
            raise NotFound(f"No key for {row.name} is stored.")
        try:
            row.path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The key cannot be removed: {error.strerror}.") from error
        return row

    def _free(self, name: str) -> Key:
        if name not in self.rows:
            raise NotFound(f"There is no key {name[:80]!r}; there are: {', '.join(self.rows)}.")
        row = self.rows[name]
        if row.given:
            raise Busy(f"The key for {row.name} comes from the environment variable {row.env_var}; change it there.")
        return row


def _write_secret(path: Path, text: str) -> None:
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # made readable by its owner only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(unfinished, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
