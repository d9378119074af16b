"""The running session for programs without a data channel: turn parameters, read them, read how it goes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from scope.server import problems
from scope.server.desk import At

router = APIRouter(prefix="/api/v1/session", tags=["session"], route_class=problems.StrictRoute)


class ParametersBody(BaseModel):
    """Any parameters of the loaded pipelines; `node_id` addresses one pipeline of a chain. Only what is sent changes."""

    model_config = ConfigDict(extra="allow")
    node_id: Annotated[str, Field(max_length=200)] | None = None


class AppliedReply(BaseModel):
    status: str
    applied_parameters: dict[str, Any]


class ParametersReply(BaseModel):
    parameters: dict[str, Any]


class GpuMemory(BaseModel):
    vram_total_mb: int | None = None
    vram_free_mb: int | None = None


class MetricsReply(BaseModel):
    model_config = ConfigDict(extra="allow")
    sessions: dict[str, Any]
    gpu: GpuMemory


@router.post("/parameters")
def turn(desk: At, body: ParametersBody) -> AppliedReply:
    """Change parameters of every session; their clients are told."""
    applied = desk.house.turn_all(dict(body.model_extra or {}), node_id=body.node_id)
    return AppliedReply(status="ok", applied_parameters=applied)


@router.get("/parameters")
def parameters(desk: At) -> ParametersReply:
    """What the parameters are now; empty when nothing runs."""
    return ParametersReply(parameters=desk.house.values())


@router.get("/metrics")
def metrics(desk: At) -> MetricsReply:
    """How many frames, how fast, how late, and what the worker uses."""
    gpu = desk.hardware.gpu()
    memory = GpuMemory(vram_total_mb=gpu.total_mb, vram_free_mb=gpu.free_mb) if gpu else GpuMemory()
    edge = {"webrtc": desk.edge.stats()} if desk.edge is not None else {}
    return MetricsReply.model_validate({"sessions": {}} | desk.house.metrics() | edge | {"gpu": memory})
