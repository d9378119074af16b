"""Sessions among each other and with a worker that dies, over real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic
from typing import Any

import psutil

from tests.live_server import LiveServer
from tests.rtc_client import Sighting, Wish
from tests.visitor import Visitor

SMALL = {"width": 320, "height": 192}
CAMERA = Wish(camera=(320, 192, 30.0))
WATCH = Wish(direction="recvonly", more={"role": "viewer"})


def has_number(sighting: Sighting) -> bool:
    return sighting.number is not None


async def test_a_killed_worker_is_replaced_while_the_picture_holds(server: LiveServer) -> None:
    server.load("passthrough")
    async with Visitor(server) as visitor:
        client = await visitor.connect(CAMERA)
        await client.frame(has_number)
        await client.send({"brightness": 0.4, "_ack": 1})
        await client.message("applied")
        (worker,) = server.worker_pids()
        os.kill(worker, signal.SIGKILL)
        killed_s = monotonic()
        assert (await client.message("warning"))["code"] == "worker_lost"
        assert (await client.message("recovered"))["code"] == "worker_lost"
        assert client.camera is not None
        numbers = client.camera.sent_s
        seen = await client.frame(lambda s: s.number is not None and numbers[s.number] > killed_s, 5.0)
        assert seen.time_s - killed_s < 5.0 and client.state == "connected"
        assert server.worker_pids() != [worker]
        assert all(sighting.width == 320 for sighting in client.sightings)
        assert float(client.luma()[-40:-20].mean()) > 150, "the new worker was told what the old one knew"


async def test_a_stopped_worker_is_noticed_within_a_second(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        (worker,) = server.worker_pids()
        os.kill(worker, signal.SIGSTOP)
        stopped_s = monotonic()
        await client.wait(lambda: any(m.get("code") == "worker_silent" for m in client.messages), 3.0)
        assert monotonic() - stopped_s < 1.5
        await client.wait(lambda: any(m["type"] == "recovered" for m in client.messages), 8.0)
        assert server.worker_pids() != [worker] and not psutil.pid_exists(worker)


async def test_a_second_controller_takes_over_and_a_viewer_stays(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        first = await visitor.connect()
        viewer = await visitor.connect(WATCH)
        await viewer.frame(has_number)
        await viewer.send({"level": 0.5})
        assert (await viewer.message("warning"))["code"] == "viewer"
        second = await visitor.connect(Wish(parameters={"level": 0.25}))
        assert "took control" in (await first.message("stream_stopped"))["error_message"]
        await second.frame(lambda sighting: sighting.level == 64)
        await viewer.frame(lambda sighting: sighting.level == 64)
        await first.wait(lambda: first.state == "closed", 5.0)
        await visitor.leave(second)
        seen = len(viewer.sightings)
        await viewer.wait(lambda: len(viewer.sightings) > seen + 10, 3.0)


async def test_all_viewers_share_one_encoder(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        h264 = ("H264",)
        controller = await visitor.connect(Wish(codecs=h264))
        watch = Wish(direction="recvonly", codecs=h264, more={"role": "viewer"})
        viewers = [await visitor.connect(watch) for _ in range(3)]
        for viewer in viewers:
            await viewer.frame(has_number)
        figures = (await visitor.http.get("/api/v1/session/metrics")).json()["webrtc"]
        ours = [figures[client.session_id] for client in (controller, *viewers)]
        assert {each["viewers"] for each in ours} == {4}
        assert len({each["encoded_frames"] for each in ours}) == 1


async def test_text_mode_on_passthrough_says_why(server: LiveServer) -> None:
    server.load("passthrough")
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(parameters={"input_mode": "text"}))
        await client.wait(lambda: {"mode", "no_input"} <= {m.get("code") for m in client.messages}, 4.0)
        await client.first_frame(2.0)
        assert client.luma().max() > 100, "words on a dark ground instead of black"


async def test_a_session_lives_through_another_load(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        server.load("test-pattern", width=192, height=320)
        await client.frame(lambda sighting: sighting.width == 192 and has_number(sighting), 5.0)
        server.http.post("/api/v1/pipeline/unload", json={})
        assert "unloaded" in (await client.message("stream_stopped"))["error_message"]
        assert server.worker_pids() == []


async def test_offers_that_never_connect_are_let_go(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    process = psutil.Process(server.pid)
    async with Visitor(server) as visitor:
        before = process.num_fds()
        silent = [visitor.client(Wish(more={"role": "viewer"})) for _ in range(3)]
        for client in silent:
            await visitor.post(await client.offer())
        assert process.num_fds() > before
        deadline_s = monotonic() + 26
        while await visitor.sessions() and monotonic() < deadline_s:
            await asyncio.sleep(0.5)
        assert not await visitor.sessions()
        assert process.num_fds() <= before + 2
        for client in silent:
            await client.vanish()
        await asyncio.sleep(0.1)  # for the loop to close their sockets


async def test_comings_and_goings_leave_nothing(server: LiveServer) -> None:
    server.load("test-pattern", **SMALL)
    process = psutil.Process(server.pid)

    def holds() -> tuple[int, int]:
        return process.num_threads(), process.num_fds()

    async with Visitor(server) as visitor:
        for visit in range(23):
            client = await visitor.connect()
            await client.first_frame()
            await visitor.leave(client)
            if visit == 2:
                await asyncio.sleep(0.5)
                before, memory = holds(), process.memory_info().rss
        await asyncio.sleep(0.5)
        assert holds()[0] <= before[0] + 1 and holds()[1] <= before[1] + 2
        assert process.memory_info().rss - memory < 20 << 20


async def test_bad_neighbours_are_not_noticed(server: LiveServer) -> None:
    """Everything the issue lists as bad input, while someone else is watching."""
    server.load("test-pattern", **SMALL)
    bad: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/pipeline/load", b"{"),
        ("POST", "/api/v1/pipeline/load", b'{"pipeline_id": 7}'),
        ("POST", "/api/v1/pipeline/load", b'{"pipeline_id": "test-pattern", "load_params": {"width": NaN}}'),
        ("POST", "/api/v1/pipeline/load", b'{"pipeline_id": "../../etc/passwd"}'),
        ("POST", "/api/v1/pipeline/load", b'{"pipeline_id": "' + b"x" * (3 << 20) + b'"}'),
        ("POST", "/api/v1/webrtc/offer", b'{"sdp": "v=0", "type": "offer"}'),
        ("PATCH", "/api/v1/webrtc/offer/none", b'{"candidates": [{"candidate": "candidate:1"}]}'),
        ("POST", "/api/v1/session/parameters", b"[1, 2]"),
        ("GET", "/api/v1/assets/..%2f..%2fetc%2fpasswd", None),
    ]
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        await client.first_frame()
        for method, path, content in bad:
            headers = {"content-type": "application/json"}
            answer = await visitor.http.request(method, path, content=content, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code)
            assert isinstance(answer.json()["detail"], str)
        began_s = monotonic()
        await asyncio.sleep(1.0)
        assert client.fps(began_s, began_s + 1.0) > 25 and client.state == "connected"
        assert (await visitor.http.get("/health")).status_code == 200
