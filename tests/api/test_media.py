"""Contract, appendix B: the checks with a picture, over real sockets. Numbers are the contract's."""

from __future__ import annotations

import asyncio
from statistics import median
from time import monotonic
from typing import Any

import pytest

from tests.live_server import LiveServer
from tests.rtc_client import RtcClient, Wish
from tests.visitor import Visitor

SMALL = {"width": 320, "height": 192}
VIDEO = Wish(camera=(320, 192, 30.0))


def has_number(sighting: Any) -> bool:
    return sighting.number is not None


async def test_11_a_bare_offer_gets_a_picture(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        seen = await client.frame(has_number, 2.0)
        assert (seen.width, seen.height) == (320, 192)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(direction="recvonly"),
        Wish(codecs=("H264",)),
        Wish(codecs=("VP8",)),
        Wish(audio=True),
        Wish(extra_video=2),
        Wish(channel=None),
    ],
    ids=["recvonly", "H264", "VP8", "audio", "two more m-lines", "no channel"],
)
async def test_12_every_shape_of_offer(server: LiveServer, wish: Wish) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect(wish)
        await client.frame(has_number, 2.0)
        for sightings in client.extra_sightings:
            await client.wait(lambda sightings=sightings: any(map(has_number, sightings)), 2.0)  # type: ignore[misc]


async def test_13_offers_and_candidates_that_cannot_be(server: LiveServer) -> None:
    server.http.post("/api/v1/pipeline/unload", json={})
    async with Visitor(server) as visitor:
        body = await visitor.client().offer()
        refused = await visitor.http.post("/api/v1/webrtc/offer", json=body)
        assert refused.status_code == 400
        assert refused.json()["detail"] == "Pipeline not loaded. Please load pipeline first."
        server.load("test-pattern", **SMALL)
        client = await visitor.connect()
        own = f"/api/v1/webrtc/offer/{client.session_id}"
        line = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"
        for path, candidate, code in (
            ("/api/v1/webrtc/offer/unknown", line, 404),
            (own, line, 204),
            (own, "", 204),
            (own, "candidate:nonsense", 404),
        ):
            said = {"candidates": [{"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}]}
            assert (await visitor.http.patch(path, json=said)).status_code == code
        for _ in range(2):
            assert (await visitor.http.delete(own)).status_code == 204


@pytest.mark.parametrize("sdp", ["garbage", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video x\r\n"])
async def test_13_garbage_for_an_offer(server: LiveServer, sdp: str) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        answer = await visitor.http.post("/api/v1/webrtc/offer", json={"sdp": sdp, "type": "offer"})
        assert answer.status_code == 400 and answer.json()["detail"]
        assert not await visitor.sessions()


async def test_14_whatever_is_said_the_session_lives(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        for rubbish in (
            "{",
            "[1]",
            "null",
            b"\xff\x00",
            "x" * 65_537,
            {"level": "loud"},
            {"level": None},
            {"level": [1]},
            {"what": 1},
        ):
            await client.send(rubbish)
        await client.send('{"level": NaN}')
        await client.send({"node_id": "nobody", "level": 0.9})
        await client.send({"level": 0.5, "speed": "x", "_ack": 5})
        await client.frame(lambda sighting: sighting.level == 128, 2.0)
        assert (await client.message("applied"))["keys"] == ["level"]
        assert {"bad_value"} <= {message.get("code") for message in client.messages if message["type"] == "warning"}


async def test_15_a_thousand_messages_in_a_second(server: LiveServer) -> None:
    server.load("faulty-well")
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        for number in range(1000):
            await client.send({"level": number / 1000, "_ack": number} if number != 500 else {"shots": 7})
        await client.frame(lambda sighting: sighting.level == 7, 5.0)  # the one-shot, counted exactly once
        await client.wait(lambda: any(message.get("seq") == 999 for message in client.messages), 5.0)
        await asyncio.sleep(0.3)
        assert client.sightings[-1].level == 7, "heard once, and never again"
        assert len({message["seq"] for message in client.messages if message["type"] == "applied"}) == 999


async def test_16_pausing_holds_the_picture(server: LiveServer) -> None:
    server.load("passthrough")
    async with Visitor(server) as visitor:
        client = await visitor.connect(VIDEO)
        await client.frame(has_number)
        await client.send({"paused": True, "_ack": 1})
        await client.message("applied")
        await asyncio.sleep(0.5)
        before, still = len(client.sightings), client.sightings[-1].number
        await asyncio.sleep(3.0)
        held = client.sightings[before:]
        assert len(held) >= 10, "the picture repeats, so that the connection stays alive"
        assert {sighting.number for sighting in held} == {still}
        await client.send({"paused": False})
        assert still is not None
        await client.frame(lambda sighting: sighting.number is not None and sighting.number > still + 60, 1.0)


async def caption(client: RtcClient) -> bytes:
    """The part of the test pattern that the prompt is written on, as coarse light and dark."""
    await asyncio.sleep(0.5)
    luma = client.luma()
    band = luma[luma.shape[0] * 5 // 8 : luma.shape[0] * 5 // 8 + 16, luma.shape[1] // 4 : luma.shape[1] * 3 // 4]
    return (band > 128).tobytes()


def differ(a: bytes, b: bytes) -> bool:
    """More than the codec's noise, at least a digit."""
    return sum(x != y for x, y in zip(a, b, strict=True)) > 12


async def test_18_prompts_come_back_and_only_ratios_count(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)

    def items(*weighted: tuple[str, float]) -> list[dict[str, Any]]:
        return [{"text": text, "weight": weight} for text, weight in weighted]

    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(parameters={"prompts": items(("AAAAAAAA", 1.0)), "speed": 0.0}))
        first = await caption(client)
        await client.send({"transition": {"target_prompts": items(("BBBBBBBB", 1.0)), "num_steps": 4}})
        moved = await caption(client)
        await client.send({"prompts": items(("AAAAAAAA", 1.0))})
        back = await caption(client)
        assert differ(first, moved) and not differ(first, back)
        shown = []
        for weights in ((0.0, 0.0), (100.0, 100.0), (1.0, 1.0), (1.0, 0.25)):
            await client.send({"prompts": items(("left", weights[0]), ("right", weights[1]))})
            shown.append(await caption(client))
        assert not differ(shown[0], shown[1]) and not differ(shown[1], shown[2])
        assert differ(shown[2], shown[3])


async def test_19_a_pipeline_that_raises(server: LiveServer) -> None:
    server.load("faulty-well")
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        await client.send({"act": "raise"})
        assert "asked to fail" in (await client.message("warning"))["message"]
        seen = len(client.sightings)
        await client.wait(lambda: len(client.sightings) > seen + 5, 5.0)
        server.load("faulty-raising")
        stopped = await client.message("stream_stopped", 10.0)
        assert "asked to fail" in stopped["error_message"]
        status = await visitor.status()
        assert status["status"] == "error" and "asked to fail" in status["error"]


async def test_20_rest_parameters_reach_the_client(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(parameters={"speed": 0.25, "level": 0.5}))
        await client.first_frame()
        answer = await visitor.http.post("/api/v1/session/parameters", json={"level": 0.75})
        assert answer.status_code == 200 and answer.json()["applied_parameters"] == {"level": 0.75}
        assert (await client.message("parameters_updated"))["parameters"] == {"level": 0.75}
        await client.frame(lambda sighting: sighting.level == 191, 2.0)
        values = (await visitor.http.get("/api/v1/session/parameters")).json()["parameters"]
        assert values["speed"] == 0.25 and values["level"] == 0.75
        refused = await visitor.http.post("/api/v1/session/parameters", json={"level": 7, "speed": 1.0})
        assert refused.status_code == 422
        assert (await visitor.http.get("/api/v1/session/parameters")).json()["parameters"] == values


async def test_21_a_client_that_vanished_comes_back(server: LiveServer) -> None:
    server.load("passthrough")
    async with Visitor(server) as visitor:
        ghost = await visitor.connect(VIDEO)
        await ghost.frame(has_number)
        await ghost.vanish()
        await asyncio.sleep(2.0)
        client = await visitor.connect(VIDEO)
        await client.frame(has_number, 2.0)
        assert len(await visitor.sessions()) == 1, "the old one ended"


async def test_26_bursts_leave_evenly(server: LiveServer) -> None:
    server.load("faulty-bursty")
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.frame(lambda sighting: (sighting.number or 0) >= 24, 10.0)
        began_s = monotonic()
        await asyncio.sleep(4.0)
        first_at: dict[int, float] = {}
        for sighting in client.sightings:
            if sighting.number is not None and sighting.time_s >= began_s:
                first_at.setdefault(sighting.number, sighting.time_s)
        times = sorted(first_at.values())
        gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
        assert len(gaps) > 36
        uneven = [gap for gap in gaps if abs(gap - median(gaps)) > 0.2 * median(gaps)]
        assert len(uneven) <= len(gaps) // 20, f"{len(uneven)} of {len(gaps)} gaps are off: {uneven}"
