"""The edge on a hub that really runs, with clients over real sockets."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic

import numpy as np
import psutil
import pytest

from scope.contract import Join
from scope.edges.webrtc import WebRtc
from scope.errors import BadInput, Busy, NotFound, Unavailable
from tests.edges.conftest import Connect, post
from tests.edges.live_hub import COLOUR, LiveHub
from tests.rtc_client import RtcClient, Sighting, Wish


def has_number(sighting: Sighting) -> bool:
    return sighting.number is not None


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_the_picture_arrives_whole_in_time_and_in_its_colours(connect: Connect, hub: LiveHub, codec: str) -> None:
    client = await connect(codecs=(codec,))
    await client.frame(has_number)
    await asyncio.sleep(2.0)
    began_s = monotonic()
    await asyncio.sleep(2.0)
    assert client.fps(began_s, began_s + 2.0) > 27
    field = client.rgb()[300:500, 50:450].reshape(-1, 3)
    assert np.abs(np.median(field, axis=0) - COLOUR).max() <= 4, np.median(field, axis=0)
    late_s = [s.time_s - hub.made_s[s.number] for s in client.sightings if s.number in hub.made_s and s.time_s >= began_s]
    assert float(np.median(late_s)) < 0.1, "without the marker release and the playout delay it is more"


async def test_everyone_shares_one_encoder(connect: Connect, hub: LiveHub, rtc: WebRtc) -> None:
    viewers = [await connect(codecs=("H264",), direction="recvonly") for _ in range(3)]
    for viewer in viewers:
        await viewer.frame(has_number)
    assert [thread.name for thread in threading.enumerate()].count("encoder-H264") == 1
    assert len([queue for queue in hub.queues if not queue.closed]) == 1
    figures = list(rtc.stats().values())
    assert {each["viewers"] for each in figures} == {3} and figures[0]["keyframes"] <= 4


async def test_a_late_viewer_of_a_held_picture_sees_it_at_once(connect: Connect, hub: LiveHub) -> None:
    first = await connect()
    held = await first.frame(has_number)
    hub.paused = True
    await asyncio.sleep(0.3)
    came_s = monotonic()
    late = await connect(direction="recvonly")
    seen = await late.frame(has_number, 2.0)
    assert seen.time_s - came_s < 1.0 and held.number is not None and seen.number is not None and seen.number >= held.number
    before = len(late.sightings)
    await asyncio.sleep(1.5)
    again = late.sightings[before:]
    assert 8 <= len(again) <= 20, "the held picture repeats ten times a second"
    assert {sighting.number for sighting in again} == {seen.number}


async def test_a_viewer_that_lost_its_thread_gets_a_keyframe(connect: Connect, rtc: WebRtc) -> None:
    client = await connect(codecs=("H264",))
    await client.frame(has_number)
    await asyncio.sleep(0.6)
    (before,) = (each["keyframes"] for each in rtc.stats().values())
    receiver = client.connection.getTransceivers()[0].receiver
    (ssrc,) = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
    await receiver._send_rtcp_pli(ssrc)
    await asyncio.sleep(0.6)
    (after,) = (each["keyframes"] for each in rtc.stats().values())
    assert after == before + 1


async def test_the_size_may_change_under_way(connect: Connect, hub: LiveHub) -> None:
    client = await connect()
    await client.frame(has_number)
    hub.size = (320, 192)
    await client.frame(lambda sighting: sighting.width == 320 and has_number(sighting), 3.0)
    hub.size = (512, 512)
    await client.frame(lambda sighting: sighting.width == 512 and sighting.number is not None and sighting.number > 40, 3.0)


async def test_the_clients_video_comes_in(connect: Connect, hub: LiveHub) -> None:
    client = await connect(camera=(320, 192, 30.0))
    (session,) = hub.sessions.values()
    await client.wait(lambda: len([code for _, code in session.inputs if code]) > 30, 5.0)
    numbers = [code[0] for _, code in session.inputs if code]
    times = [time_s for time_s, _ in session.inputs]
    assert numbers == sorted(numbers) and times == sorted(times)
    assert abs(float(np.median(np.diff(times))) - 1 / 30) < 0.01, "the source's own clock"
    assert session.how.brings_video


async def test_what_is_said_arrives_and_rubbish_is_answered(connect: Connect, hub: LiveHub) -> None:
    client = await connect()
    await client.send({"speed": 1})
    assert (await client.message("heard"))["keys"] == ["speed"]
    for rubbish in ("{", "[]", b"\0", "x" * 70_000):
        await client.send(rubbish)
    assert (await client.message("warning"))["message"]
    hub.broadcast({"type": "hello", "number": 3})
    assert (await client.message("hello"))["number"] == 3
    (session,) = hub.sessions.values()
    assert session.turned == [{"speed": 1}]


async def test_a_dismissed_client_is_told_why(connect: Connect, hub: LiveHub, rtc: WebRtc) -> None:
    client = await connect()
    await client.first_frame()
    (session,) = hub.sessions.values()
    session.client.dismiss("The show is over.")
    assert (await client.message("stream_stopped"))["error_message"] == "The show is over."
    await client.wait(lambda: client.state == "closed", 3.0)
    assert not hub.sessions and not rtc.stats()


async def test_a_client_that_vanished_is_let_go(connect: Connect, hub: LiveHub) -> None:
    client = await connect()
    await client.first_frame()
    gone_s = monotonic()
    await client.vanish()
    while hub.sessions and monotonic() - gone_s < 12:
        await asyncio.sleep(0.1)
    assert monotonic() - gone_s < 10.0 and not hub.sessions


async def test_comings_and_goings_leave_nothing(hub: LiveHub, rtc: WebRtc) -> None:
    process = psutil.Process()

    async def visit() -> None:
        async with RtcClient(lambda body: post(rtc, hub, body)) as client:
            await client.connect()
            await client.first_frame()
            await rtc.close_session(client.session_id)

    await visit()
    await asyncio.sleep(0.2)
    threads, descriptors = threading.active_count(), process.num_fds()
    for _ in range(10):
        await visit()
    await asyncio.sleep(0.2)
    assert threading.active_count() <= threads and process.num_fds() <= descriptors + 1
    assert not hub.sessions and not rtc.stats() and all(queue.closed for queue in hub.queues)


@pytest.mark.parametrize("failure", [Unavailable, Busy])
async def test_a_hub_that_says_no_leaves_nothing_behind(hub: LiveHub, rtc: WebRtc, failure: type[Exception]) -> None:
    hub.loaded, hub.busy = failure is not Unavailable, failure is Busy
    process = psutil.Process()
    client = RtcClient(lambda body: post(rtc, hub, body), Wish())
    body = await client.offer()
    before = process.num_fds()
    with pytest.raises(failure):
        await post(rtc, hub, body)
    assert process.num_fds() == before and not rtc.stats()
    await client.vanish()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "sdp",
    ["", "hello", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "x" * 400_000],
)
async def test_offers_that_make_no_sense(hub: LiveHub, rtc: WebRtc, sdp: str) -> None:
    with pytest.raises(BadInput, match=r"^[A-Z].*\w"):
        await rtc.offer(hub, sdp, "offer", Join())
    assert not rtc.stats() and not hub.sessions


async def test_candidates_for_nobody_and_nonsense(connect: Connect, rtc: WebRtc) -> None:
    client = await connect()
    with pytest.raises(NotFound):
        await rtc.add_candidate("nobody", {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0})
    with pytest.raises(NotFound):
        await rtc.add_candidate(client.session_id, {"candidate": "candidate:nonsense", "sdpMid": "0", "sdpMLineIndex": 0})
    for text in ("", "candidate:1 1 udp 2 4f2d4c.local 9 typ host"):  # the end; a name nobody here can resolve
        await rtc.add_candidate(client.session_id, {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0})
