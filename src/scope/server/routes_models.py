"""Weights: which are here, fetching what is missing, removing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from scope.contract import Spec
from scope.errors import NotFound, Unavailable
from scope.server import problems
from scope.server.desk import At, Desk
from scope.server.routes_process import Told

if TYPE_CHECKING:
    from scope.store.downloads import Progress

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=problems.StrictRoute)
PipelineId = Annotated[str, Query(max_length=200)]


class DownloadProgress(BaseModel):
    is_downloading: bool
    percentage: float
    current_artifact: str | None
    error: str | None = None
    state: str  # planning, running, done, failed or cancelled
    bytes_done: int
    bytes_total: int
    speed: float  # bytes per second
    eta_s: float | None


class Artifact(BaseModel):
    """What one repository on Hugging Face contributes."""

    repo: str
    files: list[str]
    present: bool
    about_bytes: int


class ModelStatus(BaseModel):
    """`bytes_total` is what is being fetched, or about what a complete download takes."""

    downloaded: bool
    progress: DownloadProgress | None
    bytes_done: int
    bytes_total: int
    speed: float
    artifacts: list[Artifact]


class NamedModelStatus(ModelStatus):
    pipeline_id: str
    name: str


class ModelList(BaseModel):
    models: list[NamedModelStatus]
    folder: str
    free_bytes: int


class DownloadBody(BaseModel):
    pipeline_id: str = Field(max_length=200)


class Removed(BaseModel):
    message: str
    freed_bytes: int


def _progress(found: Progress) -> DownloadProgress:
    return DownloadProgress(
        is_downloading=found.running,
        percentage=round(found.percentage, 2),
        current_artifact=found.current,
        error=found.error,
        state=found.state,
        bytes_done=found.bytes_done,
        bytes_total=found.bytes_total,
        speed=round(found.bytes_per_s, 1),
        eta_s=None if found.left_s is None else round(found.left_s, 1),
    )


def _status(desk: Desk, pipeline_id: str) -> ModelStatus:
    models = desk.store.models
    present, job = models.present(pipeline_id), models.job(pipeline_id)
    progress = _progress(job.progress()) if job is not None else None
    about_bytes = models.about_bytes(pipeline_id)
    running = progress is not None and progress.is_downloading and progress.bytes_total > 0
    return ModelStatus(
        downloaded=present and not running,
        progress=None if progress is None or progress.state == "done" else progress,
        bytes_done=progress.bytes_done if progress and running else about_bytes if present else 0,
        bytes_total=progress.bytes_total if progress and running else about_bytes,
        speed=progress.speed if progress else 0.0,
        artifacts=[
            Artifact(repo=artifact.repo, files=list(artifact.files), present=artifact.present, about_bytes=artifact.about_bytes)
            for artifact in models.artifacts(pipeline_id)
        ],
    )


def _known(desk: Desk, pipeline_id: str) -> Spec:
    """Raises NotFound for an unknown pipeline, Unavailable for one whose weights cannot be fetched by us."""
    spec = desk.catalog.find(pipeline_id)
    if spec.requires_models and not desk.store.models.artifacts(spec.id) and spec.unavailable:
        raise Unavailable(f"{spec.name}: {spec.unavailable}")
    return spec


@router.get("/models")
def list_models(desk: At) -> ModelList:
    """Every pipeline that has weights, and the room there is for them."""
    found = [spec for spec in desk.catalog.specs.values() if desk.store.models.artifacts(spec.id)]
    listed = [NamedModelStatus(pipeline_id=spec.id, name=spec.name, **dict(_status(desk, spec.id))) for spec in found]
    folder = desk.settings.models_dir
    return ModelList(models=listed, folder=str(folder), free_bytes=desk.store.downloads.free_bytes(folder))


@router.get("/models/status")
def model_status(desk: At, pipeline_id: PipelineId) -> ModelStatus:
    """Whether the weights of a pipeline are here, and how its download goes; always true for one that has none."""
    return _status(desk, desk.catalog.find(pipeline_id).id)


@router.post("/models/download")
def download(desk: At, body: DownloadBody) -> Told:
    """Begin fetching what is missing, in the background; nothing is done when all of it is here."""
    spec = _known(desk, body.pipeline_id)
    if not desk.store.models.artifacts(spec.id) or desk.store.models.download(spec.id) is None:
        return Told(message="Nothing to download")
    return Told(message=f"Model download started for {spec.id}")


@router.delete("/models/download")
def cancel_download(desk: At, pipeline_id: PipelineId) -> Told:
    """Stop a download. What has come is kept, and the next one goes on from there."""
    desk.store.downloads.cancel(desk.catalog.find(pipeline_id).id)
    return Told(message=f"Model download of {pipeline_id} cancelled")


@router.delete("/models/{pipeline_id}")
def remove_weights(desk: At, pipeline_id: str) -> Removed:
    """Delete the weights of a pipeline, but not what another one that is here needs."""
    spec = desk.catalog.find(pipeline_id)
    if not desk.store.models.artifacts(spec.id):
        raise NotFound(f"{spec.name} has no weights.")
    freed = desk.store.models.remove(spec.id)
    return Removed(message=f"Removed the weights of {spec.name}", freed_bytes=freed)
