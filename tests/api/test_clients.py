"""Existing clients, word for word: what they load, offer and say, with a row of the family behind it (contract 12.2, 12.3, C)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.live_server import LiveServer
from tests.rtc_client import RtcClient, Wish
from tests.visitor import Visitor

SOUNDSCAPE = {
    "pipeline_ids": ["longlive"],
    "load_params": {
        "width": 96,
        "height": 64,
        "vace_enabled": False,
        "vae_type": "lightvae",
        "quantization": None,
        "lora_merge_mode": "permanent_merge",
    },
}
UNITY = {
    "pipeline_id": "reward-forcing",
    "load_params": {
        "width": 96,
        "height": 72,
        "seed": 42,
        "vace_enabled": True,
        "loras": None,
        "lora_merge_mode": "permanent_merge",
    },
}
SCOPE_UI = {
    "pipelines": [
        {"node_id": "main", "pipeline_id": "krea-realtime-video", "load_params": {"width": 96, "height": 64, "base_seed": 42}}
    ],
    "connection_id": "x",
}
FIRST = {
    "pipeline_ids": ["longlive"],
    "input_mode": "text",
    "prompts": [{"text": "a calm sea", "weight": 1}],
    "prompt_interpolation_method": "linear",
    "denoising_step_list": [1000, 500, 250],
    "manage_cache": True,
    "kv_cache_attention_bias": 0.1,
    "recording": False,
}


def loaded(server: LiveServer, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.http.post("/api/v1/pipeline/load", json=body)
    assert (answer.status_code, answer.json()) == (200, {"message": "Pipeline loading initiated successfully"})
    status = server.wait_loaded()
    assert status["status"] == "loaded", status
    return status


async def picture_after(client: RtcClient) -> None:
    count = len(client.sightings)
    await client.wait(lambda: len(client.sightings) > count + 12, 10.0)


def complaints(client: RtcClient) -> list[str]:
    return [each["message"] for each in client.messages if each["type"] == "warning" and each["code"] != "notice"]


async def test_soundscape(server: LiveServer) -> None:
    status = loaded(server, SOUNDSCAPE)
    assert "preview" in status["notice"] and status["load_params"]["width"] == 96
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(codecs=("VP8",), parameters=FIRST))
        await client.first_frame()
        wish = {"target_prompts": [{"text": "sparks", "weight": 1}], "num_steps": 8, "temporal_interpolation_method": "slerp"}
        for tick in range(90):
            said = {"prompts": [{"text": "a calm sea", "weight": 1}], "denoising_step_list": [1000, 500, 250]}
            if tick >= 45:
                said["prompts"] = [{"text": "sparks", "weight": 1}]
            more = {"noise_scale": 0.53, "manage_cache": True} | ({"transition": wish} if tick == 15 else {})
            await client.send(said | more)
            await asyncio.sleep(1 / 30)
        await client.wait(lambda: any(each.get("state") == "finished" for each in client.messages), 20.0)
        states = [each["state"] for each in client.messages if each["type"] == "transition"]
        assert states[0] == "started" and states[-1] == "finished" and "superseded" not in states
        await picture_after(client)
        assert not complaints(client)


async def test_unity_says_every_field_of_its_struct(server: LiveServer) -> None:
    assert loaded(server, UNITY)["load_params"]["height"] == 64, "snapped, not refused"
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(parameters={"prompts": [{"text": "a forest", "weight": 1.0}]}))
        await client.first_frame()
        empty = {
            "prompts": [],
            "transition": {"target_prompts": [], "num_steps": 0, "temporal_interpolation_method": "linear"},
            "denoising_step_list": [1000, 500],
            "vace_ref_images": [],
            "vace_context_scale": 1.0,
            "first_frame_image": "",
            "paused": False,
            "reset_cache": False,
        }
        await client.send(empty)
        await picture_after(client)
        values = (await visitor.http.get("/api/v1/session/parameters")).json()["parameters"]
        assert values["prompts"] == [{"text": "a forest", "weight": 1.0}]
        assert not [each for each in client.messages if each["type"] == "transition"] and not complaints(client)


@pytest.mark.parametrize("input_mode", ["text", "video"])
async def test_the_scope_page(server: LiveServer, input_mode: str) -> None:
    """Its fade, its cut, its LoRA slider, its reset; in video mode with a camera."""
    loaded(server, SCOPE_UI)
    async with Visitor(server) as visitor:
        camera = (96, 64, 30.0) if input_mode == "video" else None
        first = {"input_mode": input_mode, "prompts": [{"text": "a", "weight": 100}], "pipeline_ids": ["krea-realtime-video"]}
        client = await visitor.connect(Wish(camera=camera, parameters=first))
        await client.first_frame()
        target = [{"text": "b", "weight": 100}]
        await client.send({"transition": {"target_prompts": target, "num_steps": 4, "temporal_interpolation_method": "slerp"}})
        await client.wait(lambda: any(each.get("state") == "finished" for each in client.messages), 20.0)
        await client.send({"prompts": [{"text": "c", "weight": 100}], "prompt_interpolation_method": "linear"})
        await client.send({"lora_scales": [{"path": "/x.safetensors", "scale": 0.8}]})
        await client.send({"node_id": "main", "noise_scale": 0.5, "_quantized": True})
        await client.send({"reset_cache": True})
        await picture_after(client)
        assert [text for text in complaints(client) if "LoRA" not in text] == []
