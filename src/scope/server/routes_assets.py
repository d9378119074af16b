"""Uploads: images, videos and sounds that pipelines can use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from scope.server import problems
from scope.server.assets import EXTENSIONS, Asset, Kind, Outside, Shelf
from scope.server.desk import At

router = APIRouter(prefix="/api/v1", tags=["assets"], route_class=problems.StrictRoute)
OUTSIDE = "That lies outside the assets folder."
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES = {kind: BINARY for _, kind in EXTENSIONS.values()}
RAW_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file itself, as it is.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}


class AssetReply(BaseModel):
    name: str
    path: str
    size_mb: float
    folder: str | None
    type: Kind
    created_at: float


class AssetsReply(BaseModel):
    assets: list[AssetReply]


def _reply(asset: Asset) -> AssetReply:
    return AssetReply.model_validate(asdict(asset))


@router.get("/assets")
def list_assets(desk: At, type: Annotated[Kind | None, Query()] = None) -> AssetsReply:
    """Newest first."""
    return AssetsReply(assets=[_reply(asset) for asset in Shelf(desk.settings.assets_dir).list(type)])


@router.post("/assets", openapi_extra=RAW_BODY)
async def add_asset(
    desk: At,
    request: Request,
    filename: Annotated[str, Query(min_length=1, max_length=1000)],
    overwrite: bool = False,
) -> AssetReply:
    """Keep the body as a file. A name that is taken gets a number, unless `overwrite` is true."""
    try:
        return _reply(await Shelf(desk.settings.assets_dir).add(filename, request.stream(), overwrite=overwrite))
    except Outside:
        raise HTTPException(403, OUTSIDE) from None


@router.get("/assets/{path:path}", response_class=Response, responses={200: {"content": FILES}})
def read_asset(desk: At, path: str) -> FileResponse:
    """One file, whole or in ranges; by relative name or by the `path` that the list gave."""
    try:
        found = Shelf(desk.settings.assets_dir).find(path)
    except Outside:
        raise HTTPException(403, OUTSIDE) from None
    return FileResponse(found, media_type=EXTENSIONS[found.suffix.lower()][1], headers={"cache-control": "no-cache"})
