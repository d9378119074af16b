"""A server without sockets: the real app and house, a stand-in for the WebRTC edge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from scope import catalog
from scope.contract import Hub, Join
from scope.errors import BadInput, NotFound, Unavailable
from scope.server.app import build
from scope.settings import Settings, from_environment

BASE_URL = "http://127.0.0.1:8000"
Build = Callable[..., FastAPI]


@dataclass
class StubEdge:
    """Answers like the WebRTC edge, and remembers what it was asked."""

    joined: list[Join] = field(default_factory=list)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    async def offer(self, hub: Hub, sdp: str, type: str, how: Join) -> Mapping[str, Any]:
        if not sdp.startswith("v=0"):
            raise BadInput("That is not a session description.")
        self.joined.append(how)
        if hub.current is None:
            raise Unavailable("Nothing is loaded.")
        return {"sdp": "v=0", "type": "answer", "sessionId": "one"}

    async def add_candidate(self, session_id: str, candidate: dict[str, Any]) -> None:
        if session_id != "one":
            raise NotFound("There is no such session.")
        self.candidates.append(candidate)

    async def close_session(self, session_id: str) -> None:
        self.candidates.clear()

    async def close(self) -> None:
        self.closed = True

    async def ice_servers(self) -> list[dict[str, Any]]:
        return []

    def stats(self) -> dict[str, Any]:
        return {"sessions": {}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made: Settings = from_environment(offline(tmp_path), in_process=True)
    return made


def offline(folder: Path) -> dict[str, str]:
    """Variables of a server that keeps to itself: its own folder, its own keys, and nowhere to fetch from."""
    return {"DAYDREAM_SCOPE_DIR": str(folder / "scope"), "HF_HOME": str(folder / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture
def edge() -> StubEdge:
    return StubEdge()


@pytest.fixture
def build_app(settings: Settings, edge: StubEdge) -> Build:
    """The app with some settings changed."""

    def made(**changes: Any) -> FastAPI:
        return build(replace(settings, **changes), catalog.load(), edge=edge)

    return made


@pytest.fixture
def client(build_app: Build) -> Iterator[TestClient]:
    with TestClient(build_app(), base_url=BASE_URL) as opened:
        yield opened


# -- requests that no client library would send -----------------------------------------------------------------------


@dataclass
class RawReply:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    pieces_read: int = 0


async def raw(
    app: FastAPI,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    pieces: AsyncIterator[bytes] | None = None,
    query: str = "",
) -> RawReply:
    """One request straight into the app, with the body in pieces and nothing put right on the way."""
    reply = RawReply()

    async def receive() -> dict[str, Any]:
        if pieces is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        reply.pieces_read += 1
        piece = await anext(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], list(message["headers"])
        else:
            reply.body += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    return reply
