"""What every route may reach: the settings, the catalogue, the running house and the WebRTC edge."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from scope import catalog as catalogue
from scope.catalog import Catalog
from scope.contract import Hub, Join
from scope.runtime.options import StageRequest
from scope.server.hardware import Hardware
from scope.server.schemas import entry_of
from scope.settings import Settings

if TYPE_CHECKING:
    from scope.store.store import Store

log = logging.getLogger(__name__)


class Runtime(Hub, Protocol):
    """The house, as the routes use it. Every method may be called from any thread."""

    def load(self, stages: Sequence[StageRequest]) -> None: ...
    def unload(self) -> None: ...
    def status(self) -> dict[str, Any]: ...
    def turn_all(self, change: dict[str, Any], *, node_id: str | None) -> dict[str, Any]: ...
    def values(self) -> dict[str, Any]: ...
    def metrics(self) -> dict[str, Any]: ...
    def close(self) -> None: ...


class WebRtcEdge(Protocol):
    """The WebRTC edge, as the routes use it."""

    async def offer(self, hub: Hub, sdp: str, type: str, how: Join) -> Mapping[str, Any]: ...
    async def add_candidate(self, session_id: str, candidate: dict[str, Any]) -> None: ...
    async def close_session(self, session_id: str) -> None: ...
    async def close(self) -> None: ...
    async def ice_servers(self) -> list[dict[str, Any]]: ...
    def stats(self) -> dict[str, Any]: ...


@dataclass
class Desk:
    settings: Settings
    catalog: Catalog
    house: Runtime
    restart: Callable[[], None] | None = None  # None: whoever runs the app cannot restart it
    hardware: Hardware = field(default_factory=Hardware)
    started_s: float = field(default_factory=time.time)
    edge: WebRtcEdge | None = None  # made when first needed: importing it costs more than the rest of the server
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def webrtc(self) -> WebRtcEdge:
        """The edge; imported in a thread, so that the server answers meanwhile."""
        async with self._making:
            if self.edge is None:
                kind = await asyncio.to_thread(catalogue.edge, "webrtc")
                self.edge = kind(self.settings)
            return self.edge

    @cached_property
    def store(self) -> Store:
        """Weights, LoRA files, keys, and what is being fetched; imported when first asked for."""
        from scope.store.store import Store

        return Store.of(self.settings)

    def close_store(self) -> None:
        """End the downloads, if any were ever asked for."""
        if "store" in vars(self):
            self.store.close()

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The schema entry of every pipeline (contract 2.3), in registration order."""
        return {name: entry_of(spec) for name, spec in self.catalog.specs.items()}

    @cached_property
    def git_commit(self) -> str:
        return _git_commit(Path(__file__).parent)


async def _desk(connection: HTTPConnection) -> Desk:
    found: Desk = connection.app.state.desk
    return found


At = Annotated[Desk, Depends(_desk)]


def _git_commit(start: Path) -> str:
    """The commit of the checkout that `start` lies in, read without running git; "unknown" for an installed package."""
    git = next((folder / ".git" for folder in start.parents if (folder / ".git").is_dir()), None)
    if git is None:
        return "unknown"
    try:
        head = (git / "HEAD").read_text().strip()
        return (git / head.removeprefix("ref: ")).read_text().strip()[:12] if head.startswith("ref: ") else head[:12]
    except OSError:
        return "unknown"
