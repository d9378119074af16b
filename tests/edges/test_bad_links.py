"""Clients on links that lose packets, that never come, and that flood."""

from __future__ import annotations

import asyncio
import random
from time import monotonic

import psutil
import pytest

from scope.edges import rtc_peer
from scope.edges.webrtc import WebRtc
from tests.edges.conftest import Connect, post
from tests.edges.live_hub import LiveHub
from tests.rtc_client import RtcClient


def lossy(client: RtcClient, share: float) -> None:
    """Lose that share of what arrives at the client."""
    dice = random.Random(5)
    (connection,) = {each.receiver.transport.transport._connection for each in client.connection.getTransceivers()}
    whole = connection.data_received

    def received(data: bytes, component: int) -> None:
        if dice.random() >= share:
            whole(data, component)

    connection.data_received = received  # type: ignore[method-assign]  # this client's only


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_one_packet_in_twenty_lost(connect: Connect, codec: str) -> None:
    client = await connect(codecs=(codec,))
    await client.first_frame()
    lossy(client, 0.05)
    began_s = monotonic()
    await asyncio.sleep(4.0)
    assert client.fps(began_s, began_s + 4.0) > 20, "what is lost is sent again, or a keyframe is"
    assert client.numbers[-1] - client.numbers[0] > 100


def narrow(client: RtcClient, bps: float) -> None:
    """A bottleneck of that rate before the client, with a quarter of a second of queue."""
    (connection,) = {each.receiver.transport.transport._connection for each in client.connection.getTransceivers()}
    whole, loop, free_s = connection.data_received, asyncio.get_running_loop(), 0.0

    def received(data: bytes, component: int) -> None:
        nonlocal free_s
        free_s = max(free_s, loop.time())
        if free_s - loop.time() < 0.25:
            free_s += len(data) * 8 / bps
            loop.call_at(free_s, whole, data, component)

    connection.data_received = received  # type: ignore[method-assign]  # this client's only


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_link_that_narrows_freezes_for_a_moment_only(connect: Connect, hub: LiveHub, codec: str) -> None:
    hub.size, hub.hard = (320, 320), True
    client = await connect(codecs=(codec,))
    await client.first_frame()
    await asyncio.sleep(2.0)
    narrow(client, 900_000)
    await asyncio.sleep(6.0)
    began_s = monotonic()
    await asyncio.sleep(2.0)
    assert client.fps(began_s, began_s + 2.0) > 20, "at a fixed rate it froze for as long as the link was narrow"


async def test_one_bad_viewer_does_not_hold_up_another(connect: Connect) -> None:
    bad, good = await connect(codecs=("H264",)), await connect(codecs=("H264",), direction="recvonly")
    await good.first_frame()
    lossy(bad, 0.4)
    began_s = monotonic()
    await asyncio.sleep(2.0)
    assert good.fps(began_s, began_s + 2.0) > 25


async def test_an_offer_that_never_connects_frees_its_sockets(rtc: WebRtc, hub: LiveHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_peer, "CONNECT_S", 0.5)
    client = RtcClient(lambda body: post(rtc, hub, body))
    body = await client.offer()
    await client.close()
    before = psutil.Process().num_fds()
    await post(rtc, hub, body)
    assert psutil.Process().num_fds() > before and len(hub.sessions) == 1
    await asyncio.sleep(1.0)
    assert psutil.Process().num_fds() == before and not hub.sessions and not rtc.stats()


async def test_a_request_that_is_cancelled_leaves_no_peer(rtc: WebRtc, hub: LiveHub) -> None:
    client = RtcClient(lambda body: post(rtc, hub, body))
    body = await client.offer()
    before = psutil.Process().num_fds()
    request = asyncio.create_task(post(rtc, hub, body))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert psutil.Process().num_fds() == before and not hub.sessions and not rtc.stats()
    await client.close()


async def test_what_is_said_before_the_channel_opens_waits_and_is_bounded(hub: LiveHub, rtc: WebRtc) -> None:
    async with RtcClient(lambda body: post(rtc, hub, body)) as client:
        reply = await post(rtc, hub, await client.offer())
        for number in range(300):
            hub.broadcast({"type": "early", "number": number})
        await client.answered(reply)
        await client.wait(lambda: len(client.messages) >= 256, 5.0)
        assert [each["number"] for each in client.messages] == list(range(44, 300)), "the oldest go first"


async def test_a_flood_of_rubbish_draws_a_trickle_of_answers(connect: Connect, hub: LiveHub) -> None:
    client = await connect()
    for number in range(500):
        await client.send("{" * (number % 50) + '"' if number % 2 else "[" * 5_000)
    await client.send('{"a": NaN}')
    await client.send({"done": 1})
    assert (await client.message("heard"))["keys"] == ["done"]
    assert 1 <= len([each for each in client.messages if each["type"] == "warning"]) < 20
    assert [each.turned for each in hub.sessions.values()] == [[{"done": 1}]]
