"""Fetching a LoRA from Hugging Face, CivitAI or any address: what is asked for becomes one checked download."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from scope.errors import BadInput, Busy
from scope.store import header
from scope.store.civitai import Civitai, Offer, of_page
from scope.store.downloads import Downloads, Job
from scope.store.fetch import Reply, Web, without_query
from scope.store.hub import Hub
from scope.store.loras import SUFFIX, LoraFile, Loras
from scope.store.manifest import Origin
from scope.store.models import sha256
from scope.store.safety import place, plain_path
from scope.store.transfer import Patience, Stop, Wanted, patiently

LIMIT_BYTES = 16 << 30
SHA256 = re.compile("[0-9a-fA-F]{64}")
KNOWN_HOSTS = ("huggingface.co", "hf.co", "civitai.com")


@dataclass(frozen=True, slots=True)
class Request:
    """A LoRA that is wanted: where it is, and what is known of it."""

    url: str
    origin: Origin
    filename: str | None = None
    sha256: str | None = None
    subfolder: str | None = None


@dataclass(frozen=True)
class Installer:
    loras: Loras
    hub: Hub
    civitai: Civitai
    downloads: Downloads
    patience: Patience = Patience()

    # -- what is asked for, in its several forms ----------------------------------------------------------------------

    def from_known_place(self, url: str, filename: str | None, *, anywhere: bool = False) -> Request:
        """An address on Hugging Face or CivitAI (or anywhere), as one copies it from a page.

        Raises BadInput, and as `Civitai` does.
        """
        at = place(url)
        own = {place(service.address).host for service in (self.hub, self.civitai)}
        if (
            not anywhere
            and at.host not in own
            and not any(at.host == host or at.host.endswith(f".{host}") for host in KNOWN_HOSTS)
        ):
            raise BadInput(f"LoRAs are installed from {', '.join(KNOWN_HOSTS)}; {at.host} is none of these.")
        if "/blob/" in at.target and at.host in (place(self.hub.address).host, "huggingface.co"):
            raise BadInput(
                "That is the page about the file; use the address of the file itself, with /resolve/ instead of /blob/."
            )
        model, version = of_page(url)
        if model is not None and at.host in (place(self.civitai.address).host, "civitai.com"):
            return replace(self.from_civitai(model, version), filename=filename)
        return self.from_url(url, filename)

    def from_url(self, url: str, filename: str | None = None) -> Request:
        return Request(url, self._origin_of(url), filename)

    def from_hub(self, repo: str, filename: str) -> Request:
        origin = Origin("huggingface", repo_id=repo, hf_filename=filename)
        return Request(self.hub.url(repo, filename), origin, PurePosixPath(filename).name)

    def from_civitai(self, model: str | None, version: str | None) -> Request:
        """Raises BadInput without any number, and as `Civitai` does."""
        if version is None and model is None:
            raise BadInput("Name a model or a version on CivitAI.")
        return _of_offer(self.civitai.version(version) if version is not None else self.civitai.newest(model or ""))

    def _origin_of(self, url: str) -> Origin:
        """What can be read from an address. Raises BadInput."""
        at, path = place(url), unquote(urlsplit(url).path)
        on_hub = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if on_hub and at.host in ("huggingface.co", place(self.hub.address).host):
            return Origin("huggingface", repo_id=on_hub[1], hf_filename=on_hub[2], url=without_query(url))
        on_civitai = re.fullmatch(r"/api/download/models/(\d+)", path)
        if on_civitai and at.host in ("civitai.com", place(self.civitai.address).host):
            return Origin("civitai", version_id=on_civitai[1], url=without_query(url))
        return Origin("url", url=without_query(url))

    # -- fetching -----------------------------------------------------------------------------------------------------

    def start(self, request: Request, web: Web | None = None, *, same_will_do: bool = False) -> tuple[Job | None, Path]:
        """Begin, and say where the file will be; no job when the very file is here already and `same_will_do`.

        Asks the server what it has before anything is begun. Raises BadInput, Busy when the name is taken, Denied, NotFound,
        Unavailable.
        """
        wanted, told = self._wanted(request, web or self.downloads.web, same_will_do)
        relative = wanted.target.relative_to(self.loras.root).as_posix()
        if wanted.target.exists():
            if same_will_do and wanted.sha256 is not None and sha256(wanted.target) == wanted.sha256:
                return None, wanted.target
            raise Busy(f"There is a LoRA {relative} already.")
        job = self.downloads.start(_job_name(relative), lambda: [wanted], web, then=lambda: self._note(wanted, told, relative))
        return job, wanted.target

    def found(self, target: Path) -> LoraFile:
        """What `start` announced, when it is there. Raises NotFound."""
        return self.loras.find(target.relative_to(self.loras.root).as_posix())

    def _note(self, wanted: Wanted, request: Request, relative: str) -> None:
        known = wanted.sha256 or sha256(wanted.target)
        self.loras.manifest.note(relative, request.origin, known, wanted.target.stat().st_size)

    def _wanted(self, request: Request, web: Web, same_will_do: bool) -> tuple[Wanted, Request]:
        if request.sha256 is not None and not SHA256.fullmatch(request.sha256):
            raise BadInput("A SHA-256 has 64 hexadecimal digits.")
        early = request.filename and _target(self.loras.root, request.subfolder, request.filename)
        if early and early.exists() and (request.sha256 or not same_will_do):
            return _as_wanted(request, early), request
        with patiently(lambda: web.get(request.url), self.patience, Stop()) as reply:
            name = request.filename or _told_name(reply) or PurePosixPath(unquote(urlsplit(request.url).path)).name
            target = _target(self.loras.root, request.subfolder, name)
            told = reply.sha256
            if told and request.sha256 and told != request.sha256.lower():
                raise BadInput(f"{name} has another SHA-256 than was expected: {told}.")
            known = replace(request, sha256=(request.sha256 or told or "").lower() or None)
            return replace(_as_wanted(known, target), size_bytes=reply.file_bytes, identity=reply.identity), known


def _as_wanted(request: Request, target: Path) -> Wanted:
    return Wanted(
        request.url,
        target,
        target.name,
        sha256=request.sha256.lower() if request.sha256 else None,
        check=header.check,
        limit_bytes=LIMIT_BYTES,
        may_replace=False,
    )


def _target(root: Path, subfolder: str | None, filename: str) -> Path:
    """Raises BadInput for a name that is not plain or not a LoRA's."""
    name = plain_path(filename, parts_limit=1)
    if name.suffix.lower() != SUFFIX:
        raise BadInput(f"Only {SUFFIX} files are fetched; {filename[:80]!r} is none. Give a filename if the address has none.")
    target = root / plain_path(subfolder, parts_limit=4) / name if subfolder else root / name
    if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(root)):
        raise BadInput(f"{subfolder} leads out of the LoRA folder.")
    return target


def _told_name(reply: Reply) -> str | None:
    """The name in Content-Disposition; the last part of it if it is a path."""
    if "content-disposition" not in reply.headers:
        return None
    message = Message()
    message["content-disposition"] = reply.headers["content-disposition"]
    name = message.get_filename()
    return PurePosixPath(name.replace("\\", "/")).name if name else None


def _of_offer(offer: Offer) -> Request:
    about = {"trigger_words": list(offer.trigger_words), "base_model": offer.base_model}
    origin = Origin("civitai", model_id=offer.model_id, version_id=offer.version_id, url=without_query(offer.url), about=about)
    return Request(offer.url, origin, PurePosixPath(offer.filename.replace("\\", "/")).name, offer.sha256)


def _job_name(relative: str) -> str:
    return f"lora {relative}"
