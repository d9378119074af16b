"""LoRA files: list, install from elsewhere, remove."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from scope.errors import BadInput, NotFound
from scope.server import problems
from scope.server.desk import At, Desk

if TYPE_CHECKING:
    from scope.store.downloads import Job
    from scope.store.install import Request
    from scope.store.loras import LoraFile

router = APIRouter(prefix="/api/v1", tags=["loras"], route_class=problems.StrictRoute)
Text = Annotated[str, Field(max_length=4096)]
Name = Annotated[str, Field(max_length=500)]
Where = Annotated[str, Path(max_length=500)]
JOB = "lora "


class LoraReply(BaseModel):
    name: str
    path: str
    size_mb: float
    folder: str | None
    sha256: str | None = None
    provenance: dict[str, Any] | None = None
    read_only: bool = False
    base_model: str | None = None
    pipelines: list[str] = []  # that it was made for, judged by the shapes in the file
    rank: int | None = None
    trigger_words: list[str] = []
    problem: str | None = None  # why it cannot be used


class LorasReply(BaseModel):
    """The same list twice: older clients read one name, newer ones the other."""

    lora_files: list[LoraReply]
    loras: list[LoraReply]


class InstallBody(BaseModel):
    url: Text
    filename: Name | None = None
    wait: bool = True  # False: answer at once; /api/v1/lora/installs tells how it goes


class Installed(BaseModel):
    message: str
    file: LoraReply | None  # None while it is on its way


class FetchBody(BaseModel):
    source: Literal["huggingface", "civitai", "url"]
    repo_id: Name | None = None
    hf_filename: Name | None = None
    model_id: Name | None = None
    version_id: Name | None = None
    url: Text | None = None
    subfolder: Name | None = None
    expected_sha256: Name | None = None
    civitai_token: Name | None = None


class Fetched(BaseModel):
    filename: str
    path: str
    sha256: str
    size_bytes: int


class Removed(BaseModel):
    success: bool
    message: str


class Install(BaseModel):
    name: str
    state: str  # planning, running, done, failed or cancelled
    percentage: float
    bytes_done: int
    bytes_total: int
    speed: float  # bytes per second
    eta_s: float | None
    error: str | None


class Installs(BaseModel):
    installs: list[Install]


class ProvenanceBody(BaseModel):
    source: Literal["huggingface", "civitai", "url", "local"]
    repo_id: Name | None = None
    hf_filename: Name | None = None
    model_id: Name | None = None
    version_id: Name | None = None
    url: Text | None = None


class ManifestEntry(BaseModel):
    filename: str
    provenance: dict[str, Any]
    sha256: str | None
    size_bytes: int
    added_at: str


def _reply(file: LoraFile) -> LoraReply:
    return LoraReply(
        name=file.name,
        path=file.path,
        size_mb=round(file.size_bytes / (1 << 20), 2),
        folder=file.folder,
        sha256=file.sha256,
        provenance=dict(file.provenance) if file.provenance is not None else None,
        read_only=file.read_only,
        base_model=file.about.base_model,
        pipelines=list(file.about.pipelines),
        rank=file.about.rank,
        trigger_words=list(file.about.trigger_words),
        problem=file.about.problem,
    )


@router.get("/loras")
def list_loras(desk: At) -> LorasReply:
    """LoRA files on this machine; `path` is what load parameters want back."""
    found = [_reply(file) for file in desk.store.loras.list()]
    return LorasReply(lora_files=found, loras=found)


@router.get("/lora/list")
def list_loras_formerly(desk: At) -> LorasReply:
    """The same under its former address."""
    return list_loras(desk)


@router.post("/loras")
async def install_lora(desk: At, body: InstallBody) -> Installed:
    """Fetch a file from Hugging Face or CivitAI and keep it; answers when it is here, unless `wait` is false."""
    installer = desk.store.installer

    def begin() -> Job | None:
        return installer.start(installer.from_known_place(body.url, body.filename))[0]

    job = await asyncio.to_thread(begin)
    assert job is not None  # since the same will not do
    if not body.wait:
        return Installed(message=f"Fetching {job.name.removeprefix(JOB)}", file=None)
    await _end_of(job)
    file = await asyncio.to_thread(desk.store.loras.find, job.name.removeprefix(JOB))
    return Installed(message=f"LoRA {file.name} installed", file=_reply(file))


@router.post("/lora/download")
async def fetch_lora(desk: At, body: FetchBody) -> Fetched:
    """Fetch the very file that a workflow names; answers when it is here."""

    def begin() -> tuple[Job | None, str]:
        web = desk.store.web(body.civitai_token) if body.civitai_token else None
        job, target = desk.store.installer.start(_request(desk, body), web, same_will_do=True)
        return job, target.relative_to(desk.settings.lora_dir).as_posix()

    job, relative = await asyncio.to_thread(begin)
    if job is not None:
        await _end_of(job)
    return await asyncio.to_thread(_fetched, desk, relative)


def _request(desk: Desk, body: FetchBody) -> Request:
    """Raises BadInput when the place is not fully named."""
    installer = desk.store.installer
    if body.source == "huggingface":
        if not body.repo_id or not body.hf_filename:
            raise BadInput("From Hugging Face a file needs repo_id and hf_filename.")
        request = installer.from_hub(body.repo_id, body.hf_filename)
    elif body.source == "civitai":
        request = installer.from_civitai(body.model_id, body.version_id)
    else:
        if not body.url:
            raise BadInput("From a web address a file needs url.")
        request = installer.from_url(body.url)
    return replace(request, subfolder=body.subfolder or None, sha256=body.expected_sha256 or request.sha256)


def _fetched(desk: Desk, relative: str) -> Fetched:
    file = desk.store.loras.hashed(desk.store.loras.find(relative))
    return Fetched(filename=relative.rpartition("/")[2], path=file.path, sha256=file.sha256 or "", size_bytes=file.size_bytes)


async def _end_of(job: Job) -> None:
    """Raises what went wrong. A client that goes away does not stop it."""
    await asyncio.shield(asyncio.wrap_future(job.future))


@router.get("/lora/installs")
def list_installs(desk: At) -> Installs:
    """How the fetching of LoRA files goes, also of those that have ended since the start."""
    running = [job.progress() for name, job in desk.store.downloads.all().items() if name.startswith(JOB)]
    return Installs(
        installs=[
            Install(
                name=found.name.removeprefix(JOB),
                state=found.state,
                percentage=round(found.percentage, 2),
                bytes_done=found.bytes_done,
                bytes_total=found.bytes_total,
                speed=round(found.bytes_per_s, 1),
                eta_s=None if found.left_s is None else round(found.left_s, 1),
                error=found.error,
            )
            for found in running
        ]
    )


@router.delete("/lora/installs/{name:path}")
def cancel_install(desk: At, name: Where) -> Removed:
    """Stop fetching a LoRA file."""
    try:
        desk.store.downloads.cancel(JOB + name)
    except NotFound:
        raise NotFound(f"No LoRA {name[:80]!r} is being fetched.") from None
    return Removed(success=True, message=f"Fetching {name} was cancelled")


@router.delete("/loras/{name:path}")
def remove_lora(desk: At, name: Where) -> Removed:
    """Delete a file, by its name, or by folder and name when several have it."""
    file = desk.store.loras.remove(name)
    return Removed(success=True, message=f"LoRA {file.relative} removed")


@router.put("/lora/{filename:path}/provenance")
def set_provenance(desk: At, filename: Where, body: ProvenanceBody) -> ManifestEntry:
    """Write down where a file came from."""
    entry = desk.store.loras.set_origin(filename, body.model_dump())
    return ManifestEntry.model_validate(entry)
