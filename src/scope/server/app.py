"""The HTTP server as one value: routes, guard and the life of what they use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from scope.catalog import Catalog
from scope.errors import ScopeError
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from scope.server import (
    problems,
    routes_assets,
    routes_catalog,
    routes_hardware,
    routes_keys,
    routes_loras,
    routes_models,
    routes_pipelines,
    routes_process,
    routes_session,
    routes_stubs,
    routes_webrtc,
)
from scope.server.desk import Desk, Runtime, WebRtcEdge
from scope.server.guard import Guard
from scope.server.page import Page
from scope.server.security import Policy
from scope.settings import Settings

log = logging.getLogger(__name__)
CLOSE_LIMIT_S = 5.0
ROUTERS = (
    routes_process.router,
    routes_hardware.router,
    routes_pipelines.router,
    routes_webrtc.router,
    routes_session.router,
    routes_assets.router,
    routes_models.router,
    routes_loras.router,
    routes_keys.router,
    routes_catalog.router,
    routes_stubs.router,
)


def build(
    settings: Settings,
    catalog: Catalog,
    *,
    house: Runtime | None = None,
    edge: WebRtcEdge | None = None,
    restart: Callable[[], None] | None = None,
) -> FastAPI:
    """The whole server. `house` and `edge` are made here unless given; both end with the app."""
    desk = Desk(settings, catalog, house or House(settings, catalog), restart, edge=edge)
    app = FastAPI(
        title="Scope",
        version=settings.version,
        summary="Real-time AI video, steered while it runs.",
        lifespan=_life,
        docs_url=None,  # ours needs no script from elsewhere
        redoc_url=None,
        responses=problems.RESPONSES,
        generate_unique_id_function=_route_name,
    )
    app.state.desk = desk
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.router.default = Page()
    app.add_middleware(Guard, policy=Policy.of(settings))
    return app


def _route_name(route: APIRoute) -> str:
    return route.name


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    desk: Desk = app.state.desk
    _preload(desk)
    warming = asyncio.create_task(_warm(desk))
    try:
        yield
    finally:
        warming.cancel()
        await _close(desk)


def _preload(desk: Desk) -> None:
    if name := desk.settings.preload:
        try:
            desk.house.load([StageRequest(name, name, {})])
        except ScopeError as error:
            log.error("PIPELINE=%s cannot be loaded: %s", name, error)


async def _warm(desk: Desk) -> None:
    """Import the WebRTC edge before the first offer needs it."""
    try:
        await desk.webrtc()
    except Exception:  # the top of a task; the first offer will meet the same error and tell its client
        log.exception("the WebRTC edge cannot be used")


async def _close(desk: Desk) -> None:
    """Peers first, so that clients see the end; then the worker."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT_S):
            if desk.edge is not None:
                await desk.edge.close()
            await asyncio.to_thread(desk.house.close)
            await asyncio.to_thread(desk.close_store)
    except TimeoutError:
        log.error("closing took longer than %.0f s; leaving it", CLOSE_LIMIT_S)
