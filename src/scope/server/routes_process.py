"""The server itself: is it alive, is it ready, what does it log, start it again."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from scope.errors import NotFound, Unavailable
from scope.server import logs, problems
from scope.server.desk import At

router = APIRouter(tags=["server"], route_class=problems.StrictRoute)
OFFSET_LIMIT = 1 << 53
NOT_READY = {
    "not_loaded": "No pipeline is loaded.",
    "loading": "The pipeline is being loaded.",
    "error": "The pipeline has failed.",
}
TEXT = {"text/plain": {"schema": {"type": "string"}}}


class Health(BaseModel):
    status: str
    timestamp: str
    server_start_time: float
    version: str
    git_commit: str


class Ready(BaseModel):
    ready: bool
    status: str
    detail: str


class Told(BaseModel):
    message: str


class LogTail(BaseModel):
    lines: list[str]
    offset: int


@router.get("/health")
async def health(desk: At) -> Health:
    """Alive. A changed `server_start_time` means that the server was restarted."""
    return Health(
        status="healthy",
        timestamp=datetime.now(UTC).isoformat(),
        server_start_time=desk.started_s,
        version=desk.settings.version,
        git_commit=desk.git_commit,
    )


@router.get("/ready", responses={503: {"model": Ready}}, response_model=Ready)
def ready(desk: At) -> Response:
    """200 when an offer would be answered with a picture, else 503."""
    status = str(desk.house.status()["status"])
    found = Ready(ready=status == "loaded", status=status, detail=NOT_READY.get(status, ""))
    return JSONResponse(found.model_dump(), 200 if found.ready else 503)


@router.post("/api/v1/restart")
async def restart(desk: At) -> Told:
    """Replace the process; poll /health until its start time differs."""
    if desk.restart is None:
        raise Unavailable("This server was not started by the scope command, so it cannot start itself again.")
    desk.restart()
    return Told(message="Server is restarting")


@router.get("/api/v1/logs/current", response_class=Response, responses={200: {"content": TEXT}})
def current_log(desk: At) -> Response:
    """The log file, as a download."""
    path = logs.current(desk.settings.logs_dir)
    if path is None:
        raise NotFound("There is no log file.")
    name = f'attachment; filename="{path.stem}.txt"'
    return PlainTextResponse(path.read_bytes(), headers={"content-disposition": name})


@router.get("/api/v1/logs/tail")
def log_tail(
    desk: At,
    lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    since_offset: Annotated[int, Query(ge=0, le=OFFSET_LIMIT)] = 0,
) -> LogTail:
    """The last lines, or with `since_offset` what was written after an earlier answer's `offset`."""
    path = logs.current(desk.settings.logs_dir)
    if path is None:
        return LogTail(lines=[], offset=0)
    found = logs.tail(path, lines, since_offset)
    return LogTail(lines=found.lines, offset=found.offset)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """What can be asked for, as a page without scripts."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    rows = [
        f"<tr><td><b>{method.upper()}</b><td><code>{escape(path)}</code><td>{escape(about.get('description', ''))}"
        for path, methods in paths.items()
        for method, about in methods.items()
    ]
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Scope API</title>"
        "<style>body{font:15px system-ui;margin:3em;background:#111;color:#ddd}td{padding:.35em 1em .35em 0}a{color:#9cf}</style>"
        "<h1>Scope API</h1><p>For programs: <a href='/openapi.json'>/openapi.json</a></p>"
        f"<table>{''.join(rows)}</table></html>"
    )
