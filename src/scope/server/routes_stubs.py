"""What existing clients ask for at their start and we have little to say about: first-run wizard, cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from scope.errors import Unavailable
from scope.server import problems
from scope.server.desk import At

router = APIRouter(prefix="/api/v1", tags=["compatibility"], route_class=problems.StrictRoute)
Text = Annotated[str, Field(max_length=200)]


class Onboarding(BaseModel):
    """Nobody has to pass a wizard here: it counts as done unless a client says otherwise."""

    completed: bool = True
    inference_mode: Text | None = "local"
    onboarding_style: Text | None = None
    referral_source: Text | None = None
    use_case: Text | None = None


class OnboardingBody(BaseModel):
    completed: bool | None = None
    inference_mode: Text | None = None
    onboarding_style: Text | None = None
    referral_source: Text | None = None
    use_case: Text | None = None


class CloudStatus(BaseModel):
    connected: bool = False
    connecting: bool = False
    error: str | None = None
    connect_stage: str | None = None
    webrtc_connected: bool = False
    app_id: str | None = None
    connection_id: str | None = None
    credentials_configured: bool = False
    stats: dict[str, Any] | None = None
    last_close_code: int | None = None
    last_close_reason: str | None = None


def _read_onboarding(path: Path) -> Onboarding:
    try:
        return Onboarding.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError):
        return Onboarding()


@router.get("/onboarding/status")
def onboarding(desk: At) -> Onboarding:
    return _read_onboarding(desk.settings.base_dir / "onboarding.json")


@router.put("/onboarding/status")
def set_onboarding(desk: At, body: OnboardingBody) -> Onboarding:
    """Fields that are null stay as they are."""
    path = desk.settings.base_dir / "onboarding.json"
    merged = _read_onboarding(path).model_copy(update=body.model_dump(exclude_none=True))
    unfinished = path.with_suffix(".json.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(merged.model_dump_json())
        unfinished.replace(path)
    except OSError as error:
        raise Unavailable(f"The settings folder cannot be written: {error.strerror}.") from error
    return merged


@router.get("/cloud/status")
async def cloud_status() -> CloudStatus:
    return CloudStatus()


@router.post("/cloud/connect")
async def cloud_connect() -> CloudStatus:
    raise HTTPException(501, "This server runs on its own machine only; there is no cloud to connect to.")


@router.post("/cloud/disconnect")
async def cloud_disconnect() -> CloudStatus:
    return CloudStatus()
