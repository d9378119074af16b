"""Weights: which are here, and which LoRA files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from scope.contract import Spec
from scope.errors import Unavailable
from scope.server import loras, problems
from scope.server.desk import At
from scope.server.routes_process import Told

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=problems.StrictRoute)


class DownloadProgress(BaseModel):
    is_downloading: bool
    percentage: float
    current_artifact: str | None
    error: str | None = None


class ModelStatus(BaseModel):
    downloaded: bool
    progress: DownloadProgress | None


class DownloadBody(BaseModel):
    pipeline_id: str = Field(max_length=200)


class LoraReply(BaseModel):
    name: str
    path: str
    size_mb: float
    folder: str | None
    sha256: str | None = None
    provenance: dict[str, Any] | None = None
    read_only: bool = False


class LorasReply(BaseModel):
    """The same list twice: older clients read one name, newer ones the other."""

    lora_files: list[LoraReply]
    loras: list[LoraReply]


def _downloaded(spec: Spec) -> bool:
    return not spec.requires_models or spec.unavailable is None


@router.get("/models/status")
def model_status(desk: At, pipeline_id: Annotated[str, Query(max_length=200)]) -> ModelStatus:
    """Whether the weights of a pipeline are here; always true for one that has none."""
    return ModelStatus(downloaded=_downloaded(desk.catalog.find(pipeline_id)), progress=None)


@router.post("/models/download")
def download(desk: At, body: DownloadBody) -> Told:
    """Nothing to do for a pipeline whose weights are here."""
    spec = desk.catalog.find(body.pipeline_id)
    if not _downloaded(spec):
        raise Unavailable(f"{spec.name}: {spec.unavailable}")
    return Told(message="Nothing to download")


@router.get("/loras")
def list_loras(desk: At) -> LorasReply:
    """LoRA files on this machine; `path` is what load parameters want back."""
    found = [LoraReply.model_validate(asdict(file)) for file in loras.scan(desk.settings.lora_dir, desk.settings.lora_shared_dir)]
    return LorasReply(lora_files=found, loras=found)


@router.get("/lora/list")
def list_loras_formerly(desk: At) -> LorasReply:
    """The same under its former address."""
    return list_loras(desk)
