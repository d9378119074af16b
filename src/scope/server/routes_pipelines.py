"""Pipelines: load, unload, where loading stands, and what can be turned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from scope.errors import BadInput
from scope.runtime.options import StageRequest
from scope.server import problems
from scope.server.desk import At
from scope.server.routes_process import Told
from scope.server.schemas import SchemaEntry

router = APIRouter(prefix="/api/v1", tags=["pipelines"], route_class=problems.StrictRoute)
Name = Annotated[str, Field(min_length=1, max_length=200)]
CHAIN_LENGTH = 32


class StageBody(BaseModel):
    node_id: Name | None = None
    pipeline_id: Name
    load_params: dict[str, Any] | None = None


class LoadBody(BaseModel):
    """One of the three selectors that clients send; further keys are ignored."""

    pipelines: list[StageBody] | None = Field(None, max_length=CHAIN_LENGTH)
    pipeline_ids: list[Name] | None = Field(None, max_length=CHAIN_LENGTH)
    pipeline_id: Name | None = None
    load_params: dict[str, Any] | None = None


class LoraAdapter(BaseModel):
    model_config = ConfigDict(extra="allow")
    path: str
    scale: float
    merge_mode: str | None = None


class PipelineStatus(BaseModel):
    model_config = ConfigDict(extra="allow")
    status: str
    pipeline_id: str | None
    load_params: dict[str, Any] | None
    loaded_lora_adapters: list[LoraAdapter] | None
    error: str | None
    loading_stage: str | None
    produces_video: bool
    produces_audio: bool


class Schemas(BaseModel):
    pipelines: dict[str, SchemaEntry]


def stages_of(body: LoadBody) -> list[StageRequest]:
    """The chain that a body asks for. Raises BadInput."""
    if body.pipelines:
        stages = [StageRequest(row.node_id or row.pipeline_id, row.pipeline_id, row.load_params or {}) for row in body.pipelines]
    elif names := body.pipeline_ids or ([body.pipeline_id] if body.pipeline_id else None):
        stages = [StageRequest(node, name, body.load_params or {}) for node, name in _numbered(names)]
    else:
        raise BadInput("Either 'pipelines' or 'pipeline_ids' must be provided")
    twice = [node for node, count in Counter(stage.node_id for stage in stages).items() if count > 1]
    if twice:
        raise BadInput(f"The node_id {twice[0]!r} is given to more than one pipeline.")
    return stages


def _numbered(names: list[str]) -> Iterator[tuple[str, str]]:
    """A node id for every pipeline: its own name, with a number from the second time on."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name}-{seen[name]}"), name


@router.post("/pipeline/load")
def load_pipeline(desk: At, body: LoadBody) -> Told:
    """Start loading a chain and return at once; poll the status until it says loaded or error."""
    desk.house.load(stages_of(body))
    return Told(message="Pipeline loading initiated successfully")


@router.post("/pipeline/unload")
def unload_pipeline(desk: At) -> Told:
    """End the running chain and give its memory back."""
    desk.house.unload()
    return Told(message="Pipeline unloaded")


@router.get("/pipeline/status")
def pipeline_status(desk: At) -> PipelineStatus:
    return PipelineStatus.model_validate(desk.house.status())


@router.get("/pipelines/schemas", response_model=Schemas, response_model_exclude_unset=True)
def pipeline_schemas(desk: At) -> dict[str, Any]:
    """Every pipeline of this installation, also those that cannot run here."""
    return {"pipelines": desk.entries}
