"""A hub that runs, the edge on top of it, and clients over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from scope.contract import Join
from scope.edges.webrtc import WebRtc
from scope.settings import from_environment
from tests.edges.live_hub import LiveHub
from tests.rtc_client import Body, RtcClient, Wish

Connect = Callable[..., Awaitable[RtcClient]]


@pytest.fixture
def hub() -> Iterator[LiveHub]:
    hub = LiveHub()
    yield hub
    hub.close()


@pytest.fixture
async def rtc() -> AsyncIterator[WebRtc]:
    rtc = WebRtc(from_environment({}))
    yield rtc
    await rtc.close()


async def post(rtc: WebRtc, hub: LiveHub, body: Body) -> Body:
    return await rtc.offer(hub, body["sdp"], body["type"], Join(parameters=body.get("initialParameters") or {}))


@pytest.fixture
async def connect(rtc: WebRtc, hub: LiveHub) -> AsyncIterator[Connect]:
    """Connected clients of the hub, closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(**wish: Any) -> RtcClient:
            client = await stack.enter_async_context(RtcClient(lambda body: post(rtc, hub, body), Wish(**wish)))
            await client.connect()
            return client

        yield make
