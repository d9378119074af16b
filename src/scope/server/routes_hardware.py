"""The machine: its GPU, and which other programs a picture can come from or go to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from scope.errors import BadInput, NotFound
from scope.server import hardware, problems
from scope.server.assets import Shelf
from scope.server.desk import At

router = APIRouter(prefix="/api/v1", tags=["hardware"], route_class=problems.StrictRoute)
SOURCES: dict[str, tuple[str, str, Callable[[], hardware.Reach]]] = {
    "ndi": ("NDI", "Video from another program or machine over NDI.", hardware.ndi),
    "spout": ("Spout", "Video from another program on this Windows machine.", hardware.spout),
    "syphon": ("Syphon", "Video from another program on this Mac.", hardware.syphon),
    "video_file": ("Video file", "A video file from the assets, played in a loop.", hardware.video_file),
}


class ReachReply(BaseModel):
    available: bool
    reason: str | None
    install_hint: str | None


class HardwareInfo(BaseModel):
    vram_gb: float | None
    spout: ReachReply
    ndi: ReachReply
    syphon: ReachReply
    spout_available: bool
    ndi_available: bool
    gpu_name: str | None
    total_vram_mb: int | None
    free_vram_mb: int | None
    device: hardware.Device


class InputSource(BaseModel):
    source_id: str
    source_name: str
    source_description: str
    available: bool
    reason: str | None


class InputSources(BaseModel):
    input_sources: list[InputSource]


class FoundSource(BaseModel):
    name: str
    identifier: str
    metadata: dict[str, str] | None


class FoundSources(BaseModel):
    source_type: str
    sources: list[FoundSource]


def _reach(found: hardware.Reach) -> ReachReply:
    return ReachReply(available=found.available, reason=found.reason, install_hint=found.install_hint)


@router.get("/hardware/info")
def hardware_info(desk: At) -> HardwareInfo:
    """What the machine has; both the flat form of older clients and the objects of newer ones."""
    gpu, spout, ndi = desk.hardware.gpu(), hardware.spout(), hardware.ndi()
    return HardwareInfo(
        vram_gb=round(gpu.total_mb / 1024, 2) if gpu else None,
        spout=_reach(spout),
        ndi=_reach(ndi),
        syphon=_reach(hardware.syphon()),
        spout_available=spout.available,
        ndi_available=ndi.available,
        gpu_name=gpu.name if gpu else None,
        total_vram_mb=gpu.total_mb if gpu else None,
        free_vram_mb=gpu.free_mb if gpu else None,
        device=desk.hardware.device(),
    )


@router.get("/input-sources")
def input_sources() -> InputSources:
    """Where a picture can come from besides the browser, and why not where it cannot."""
    rows = [(source_id, name, about, check()) for source_id, (name, about, check) in SOURCES.items()]
    return InputSources(
        input_sources=[
            InputSource(
                source_id=source_id,
                source_name=name,
                source_description=about,
                available=reach.available,
                reason=reach.reason,
            )
            for source_id, name, about, reach in rows
        ]
    )


@router.get("/input-sources/{source_type}/sources")
def sources_of(
    desk: At,
    source_type: Annotated[str, Path(max_length=100)],
    timeout_ms: Annotated[int, Query(ge=0, le=60_000)] = 5000,
) -> FoundSources:
    """What one kind of source offers now."""
    if source_type not in SOURCES:
        raise NotFound(f"There is no input source {source_type!r}; there are: {', '.join(SOURCES)}.")
    reach = SOURCES[source_type][2]()
    if not reach.available:
        raise BadInput(f"{SOURCES[source_type][0]} cannot be used: {reach.reason}")
    if source_type != "video_file":
        return FoundSources(source_type=source_type, sources=[])
    found = Shelf(desk.settings.assets_dir).list("video")
    return FoundSources(
        source_type=source_type,
        sources=[FoundSource(name=asset.name, identifier=asset.path, metadata=None) for asset in found],
    )
