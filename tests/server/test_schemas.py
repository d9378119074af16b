"""Every entry says everything a client may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import pytest
from fastapi.testclient import TestClient

from scope import catalog
from scope.contract import Params, Size, Spec, choice, cue, knob, option
from scope.server.schemas import COMMON, config_schema, entry_of

KEYS = {
    *("id", "name", "description", "version", "docs_url", "supported_modes", "default_mode", "supports_prompts"),
    *("default_temporal_interpolation_method", "default_temporal_interpolation_steps", "default_spatial_interpolation_method"),
    *("estimated_vram_gb", "requires_models", "supports_lora", "supports_vace", "supports_cache_management"),
    *("supports_kv_cache_bias", "supports_quantization", "min_dimension", "recommended_quantization_vram_threshold"),
    *("modified", "produces_video", "produces_audio", "usage", "inputs", "outputs", "config_schema", "plugin_name"),
    *("available", "unavailable_reason"),
}


class Vae(StrEnum):
    WAN, TINY = "wan", "tiny"


class DemoOptions(Size):
    vae_type: Vae = option(Vae.WAN, "Which decoder.", ui={"order": 3, "label": "VAE", "modes": None})
    hidden: int = 1
    seed: int = option(42, "Same seed, same video.", ui={"order": 5})


class DemoParams(Params):
    noise: float = knob(0.5, 0.0, 1.0, "How far.", order=7, modes=["video"])
    flash: bool = cue(False, "Once.")
    word: str | None = choice(None, "A word.")
    seed: int | None = choice(None, "Another seed, another video.", at_load=True)


def demo(**changes: Any) -> Spec:
    row: dict[str, Any] = {
        "id": "demo-one",
        "name": "Demo",
        "description": "For tests.",
        "params": DemoParams,
        "options": DemoOptions,
        "load": None,
        "modes": {"text": {"height": 320, "width": None}, "video": {}},
        "default_mode": "text",
        "traits": {"supports_lora": True, "input_size": 4},
    }
    return Spec(**(row | changes))


def _walk(value: Any) -> Iterator[Any]:
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inside:
        yield from _walk(item)


def test_every_pipeline_has_every_key(client: TestClient) -> None:
    reply = client.get("/api/v1/pipelines/schemas").json()["pipelines"]
    assert list(reply) == list(catalog.load().specs)
    for name, entry in reply.items():
        assert entry.keys() >= KEYS, name
        assert entry["available"] is (entry["unavailable_reason"] is None)
        assert entry["config_schema"]["additionalProperties"] is False
        hints = [value["ui"] for value in _walk(entry) if isinstance(value, dict) and isinstance(value.get("ui"), dict)]
        assert hints
        assert all(None not in hint.values() and {"category", "is_load_param"} <= hint.keys() for hint in hints)


def test_passthrough_has_no_mode_defaults(client: TestClient) -> None:
    entry = client.get("/api/v1/pipelines/schemas").json()["pipelines"]["passthrough"]
    assert "mode_defaults" not in entry
    assert "schema_error" not in entry
    assert entry["supported_modes"] == ["video"]


def test_options_and_params_are_one_schema() -> None:
    schema = config_schema(demo())
    fields = schema["properties"]
    assert schema["title"] == "DemoOneConfig"
    assert fields["height"]["ui"] == {"category": "configuration", "is_load_param": True, "component": "resolution", "order": 4}
    assert fields["vae_type"]["$ref"].removeprefix("#/$defs/") in schema["$defs"]
    assert fields["vae_type"]["ui"] == {"category": "configuration", "is_load_param": True, "order": 3, "label": "VAE"}
    assert "ui" not in fields["hidden"]
    assert fields["noise"]["ui"]["is_load_param"] is False
    assert (fields["noise"]["ui"]["modulatable_min"], fields["noise"]["ui"]["modulatable_max"]) == (0.0, 1.0)
    assert fields["seed"]["ui"] == {"category": "configuration", "is_load_param": True, "order": 5, "live": True}
    assert (fields["seed"]["type"], fields["seed"]["default"]) == ("integer", 42)
    assert fields["flash"]["cue"] is True
    assert fields["brightness"]["ui"]["lane"] == "fast"
    assert COMMON.keys() <= fields.keys()
    assert fields["input_size"]["default"] == 4


def test_traits_and_modes() -> None:
    entry = entry_of(demo())
    assert entry["supports_lora"] is True
    assert "input_size" not in entry
    assert entry["mode_defaults"] == {"text": {"height": 320}}


def test_a_broken_plugin_gets_a_stub() -> None:
    class Broken(Params):
        call: Callable[[], int] = option(int, "No JSON schema can say this.")

    entry = entry_of(demo(params=Broken))
    assert entry["schema_error"]
    assert entry.keys() == {"id", "name", "description", "version", "schema_error"}


def test_nodes_are_pipelines_with_ports(client: TestClient) -> None:
    nodes = {node["node_type_id"]: node for node in client.get("/api/v1/nodes/definitions").json()["nodes"]}
    pattern, plain = nodes["test-pattern"], nodes["passthrough"]
    assert "prompts" in [port["name"] for port in pattern["inputs"]]
    assert [port["port_type"] for port in plain["inputs"]] == ["video"]
    assert plain["pipeline_meta"]["id"] == "passthrough"
    assert (plain["category"], plain["params"]) == ("pipeline", [])


@pytest.mark.parametrize("name", ["passthrough", "test-pattern", "longlive"])
def test_pipelines_say_whether_they_run_here(client: TestClient, name: str) -> None:
    entry = client.get("/api/v1/pipelines/schemas").json()["pipelines"][name]
    reply = client.post("/api/v1/pipeline/load", json={"pipeline_id": name})
    assert reply.status_code == (200 if entry["available"] else 503)
    if not entry["available"]:
        assert entry["unavailable_reason"] in reply.json()["detail"]
