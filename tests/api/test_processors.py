"""Chains as clients load them: a processor before, a processor after, and one that cannot be had or fails."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from tests.live_server import LiveServer
from tests.rtc_client import RtcClient, Wish
from tests.visitor import Visitor

VACE = {"width": 96, "height": 64, "weights": "random", "vace_enabled": True, "input_size": 4}
CAMERA = (96, 64, 30.0)


def load(server: LiveServer, *pipelines: str, **load_params: Any) -> dict[str, Any]:
    """As Soundscape does: one dict for everyone."""
    answer = server.http.post("/api/v1/pipeline/load", json={"pipeline_ids": list(pipelines), "load_params": load_params})
    assert answer.status_code == 200, answer.text
    return server.wait_loaded()


async def pictures(client: RtcClient, count: int, timeout_s: float = 20.0) -> None:
    begun = len(client.sightings)
    await client.wait(lambda: len(client.sightings) >= begun + count, timeout_s)


def warnings(client: RtcClient) -> list[str]:
    return [each["message"] for each in client.messages if each["type"] == "warning" and each["code"] != "notice"]


async def test_a_camera_drawn_by_scribble_steers_longlive(server: LiveServer) -> None:
    status = load(server, "scribble", "longlive", **VACE)
    assert (status["status"], status["pipeline_id"]) == ("loaded", "longlive"), status
    assert [stage["pipeline_id"] for stage in status["chain"]] == ["scribble", "longlive"]
    async with Visitor(server) as visitor:
        first = {"prompts": [{"text": "a calm sea", "weight": 1}], "line_detail": 0.7}
        client = await visitor.connect(Wish(camera=CAMERA, parameters=first))
        await client.first_frame(20.0)
        await client.send({"line_invert": True, "vace_context_scale": 1.5, "_ack": 1})
        await client.wait(lambda: any(each.get("seq") == 1 for each in client.messages), 20.0)
        await pictures(client, 24)
        applied = next(each for each in client.messages if each.get("seq") == 1)
        assert applied["keys"] == ["line_invert", "vace_context_scale"]
        values = (await visitor.http.get("/api/v1/session/parameters")).json()["parameters"]
        assert values["line_detail"] == 0.7 and not warnings(client)
        stats = (await visitor.http.get("/api/v1/session/metrics")).json()["worker"]
        assert stats["mode"] == "video", "what stands in front of it has a video to work on"
        await client.send({"node_id": "longlive", "base_seed": 7, "_ack": 2})
        await client.wait(lambda: any(each.get("seq") == 2 for each in client.messages), 20.0)
        await pictures(client, 12)


async def test_a_green_screen_is_a_mask(server: LiveServer) -> None:
    assert load(server, "chroma-key", "longlive", **VACE)["status"] == "loaded"
    async with Visitor(server) as visitor:
        first = {"prompts": "a forest", "key_hue": 240, "key_invert": True}
        client = await visitor.connect(Wish(camera=CAMERA, parameters=first))
        await client.first_frame(20.0)
        await pictures(client, 24)
        assert not warnings(client)


async def test_rife_puts_a_frame_between_any_two_of_the_test_pattern(server: LiveServer) -> None:
    """The pattern counts on at its own pace, and twice as many frames leave."""
    assert load(server, "test-pattern", "rife", width=160, height=96)["status"] == "loaded"
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(parameters={"speed": 0.5}))
        await client.first_frame(20.0)
        await pictures(client, 60)
        await asyncio.sleep(0.5)
        stats = (await visitor.http.get("/api/v1/session/metrics")).json()["worker"]
        assert abs(2 * stats["chunks"] - stats["frames_out"]) <= 8 and stats["output_dropped"] == 0
        assert len(set(client.numbers)) > 8, "half-way between two codes there may be a third, but not all are"
        await client.send({"level": 0.5, "_ack": 1})
        await client.frame(lambda sighting: sighting.level == 128, 10.0)


async def test_scribble_before_and_rife_after_what_a_camera_shows(server: LiveServer) -> None:
    assert load(server, "scribble", "passthrough", "rife")["status"] == "loaded"
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(camera=(160, 96, 15.0)))
        await client.first_frame(20.0)
        await pictures(client, 30)
        assert np.median(client.luma()) > 200, "black lines on white"
        await client.send({"line_invert": True})
        await client.wait(lambda: bool(np.median(client.luma()) < 60), 20.0)


async def test_a_stage_that_fails_is_named(server: LiveServer) -> None:
    load(server, "faulty-raising", "gray", "rife")
    async with Visitor(server) as visitor:
        client = await visitor.connect()
        stopped = await client.message("stream_stopped", 20.0)
        assert stopped["error_message"] == "Faulty raising: ValueError: asked to fail"


def test_depth_without_its_weights_says_what_to_do(server: LiveServer) -> None:
    status = load(server, "video-depth-anything", "longlive", **VACE)
    assert status["status"] == "error"
    assert status["error"].startswith("Video Depth Anything: NotFound: ")
    assert "video_depth_anything_vits.pth" in status["error"] and "scope models download video-depth-anything" in status["error"]
    entry = server.http.get("/api/v1/pipelines/schemas").json()["pipelines"]["video-depth-anything"]
    assert entry["requires_models"] and entry["usage"] == ["preprocessor"]
    assert server.http.get("/api/v1/models/status", params={"pipeline_id": "video-depth-anything"}).json()["downloaded"] is False
