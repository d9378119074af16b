"""Contract, appendix B: the checks that need no media, against a real server over real sockets. Numbers are the contract's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live_server import LiveServer

ENTRY_KEYS = {
    "id",
    "name",
    "description",
    "version",
    "docs_url",
    "supported_modes",
    "default_mode",
    "supports_prompts",
    "default_temporal_interpolation_method",
    "default_temporal_interpolation_steps",
    "default_spatial_interpolation_method",
    "estimated_vram_gb",
    "requires_models",
    "supports_lora",
    "supports_vace",
    "supports_cache_management",
    "supports_kv_cache_bias",
    "supports_quantization",
    "min_dimension",
    "recommended_quantization_vram_threshold",
    "modified",
    "produces_video",
    "produces_audio",
    "usage",
    "inputs",
    "outputs",
    "config_schema",
    "plugin_name",
    "available",
    "unavailable_reason",
}


def test_01_health(server: LiveServer) -> None:
    first, second = (server.http.get("/health", params={"_t": t}).json() for t in (1, 2))
    assert first["status"] == "healthy" and isinstance(first["server_start_time"], float)
    assert {"timestamp", "version", "git_commit"} <= first.keys()
    assert first["server_start_time"] == second["server_start_time"]


@pytest.mark.parametrize(
    "body",
    [
        {"pipelines": [{"node_id": "main", "pipeline_id": "passthrough", "load_params": None}]},
        {"pipeline_ids": ["gray", "passthrough"], "load_params": {"width": 320, "height": 576, "lora_merge_mode": "none"}},
        {"pipeline_id": "test-pattern", "load_params": {"width": 320, "height": 192, "seed": 7, "loras": None}, "user_id": "u"},
    ],
    ids=["pipelines", "pipeline_ids", "pipeline_id"],
)
def test_02_and_03_load_with_each_body_form(server: LiveServer, body: dict[str, Any]) -> None:
    answer = server.http.post("/api/v1/pipeline/load", json=body)
    assert answer.status_code == 200 and answer.json()["message"]
    status = server.http.get("/api/v1/pipeline/status").json()
    wanted = body.get("pipeline_id") or (body.get("pipeline_ids") or [body["pipelines"][0]["pipeline_id"]])[-1]
    assert status["pipeline_id"] == wanted, "status must never speak of the previous pipeline"
    assert server.wait_loaded()["status"] == "loaded"


def test_02_load_with_no_selector(server: LiveServer) -> None:
    answer = server.http.post("/api/v1/pipeline/load", json={"load_params": {}})
    assert answer.status_code == 400 and "pipeline" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("pipeline_id", "params", "code", "word"),
    [
        ("no-such", {}, 404, "no-such"),
        ("longlive", {}, 503, "LongLive"),
        ("test-pattern", {"width": 0}, 400, "width"),
        ("test-pattern", {"width": 100_000}, 400, "width"),
        ("test-pattern", {"width": "wide"}, 400, "width"),
    ],
)
def test_04_a_load_that_cannot_be(server: LiveServer, pipeline_id: str, params: dict[str, Any], code: int, word: str) -> None:
    server.http.post("/api/v1/pipeline/unload", json={})
    answer = server.http.post("/api/v1/pipeline/load", json={"pipeline_id": pipeline_id, "load_params": params})
    assert answer.status_code == code and word in answer.json()["detail"]
    for _ in range(2):
        status = server.http.get("/api/v1/pipeline/status").json()
        assert status["status"] == "error" and word in status["error"]
    server.load("test-pattern", width=320, height=192)


def test_04_sizes_are_snapped_and_reported(server: LiveServer) -> None:
    server.load("test-pattern", width=500, height=300)
    assert server.http.get("/api/v1/pipeline/status").json()["load_params"] == {"width": 496, "height": 288}


def test_05_schemas(server: LiveServer) -> None:
    pipelines = server.http.get("/api/v1/pipelines/schemas").json()["pipelines"]
    for name, entry in pipelines.items():
        assert entry.keys() >= ENTRY_KEYS, name
        properties = entry["config_schema"]["properties"].values()
        assert all(value is not None for p in properties for value in p.get("ui", {}).values())
    assert "mode_defaults" not in pipelines["passthrough"]
    assert not pipelines["longlive"]["available"] and pipelines["longlive"]["unavailable_reason"]
    assert pipelines["streamdiffusionv2"]["mode_defaults"]["video"]["noise_scale"] == 0.7


def test_06_hardware(server: LiveServer) -> None:
    info = server.http.get("/api/v1/hardware/info").json()
    assert "vram_gb" in info and isinstance(info["spout_available"], bool) and isinstance(info["ndi_available"], bool)
    for name in ("spout", "ndi", "syphon"):
        assert info[name].keys() >= {"available", "reason", "install_hint"}


def test_07_loras_under_both_names(server: LiveServer) -> None:
    now, before = (server.http.get(path).json() for path in ("/api/v1/loras", "/api/v1/lora/list"))
    assert now == before and now["loras"] == now["lora_files"]


def test_08_typos_and_pages(server: LiveServer) -> None:
    missing = server.http.get("/api/v1/nope")
    assert missing.status_code == 404 and missing.json()["detail"]
    page = server.http.get("/some/page")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache, no-store, must-revalidate"


def test_10_ice_servers(server: LiveServer) -> None:
    answer = server.http.get("/api/v1/webrtc/ice-servers")
    assert answer.status_code == 200 and answer.json() == {"iceServers": []}


def test_24_hosts_and_origins(server: LiveServer) -> None:
    body = {"pipeline_id": "passthrough"}
    evil = server.http.get("/health", headers={"Host": "evil.example"})
    assert 400 <= evil.status_code < 500
    for origin, allowed in (("https://evil.example", False), ("null", False), (server.base_url, True), (None, True)):
        headers = {} if origin is None else {"Origin": origin}
        answer = server.http.post("/api/v1/pipeline/load", json=body, headers=headers)
        assert (answer.status_code == 200) is allowed, origin
        assert allowed or answer.status_code == 403


def test_22_assets_and_the_ways_out_of_their_folder(server: LiveServer) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(200)
    sent = server.http.post("/api/v1/assets", params={"filename": "deep/one.png"}, content=picture).json()
    assert sent["name"] == "one" and sent["type"] == "image"
    listed = server.http.get("/api/v1/assets", params={"type": "image"}).json()["assets"]
    assert [each["path"] for each in listed] == [sent["path"]]
    for path in ("deep/one.png", sent["path"]):
        assert server.http.get(f"/api/v1/assets/{path}").content == picture
    assert server.http.get("/api/v1/assets/deep/one.png", headers={"Range": "bytes=1-3"}).content == b"PNG"
    root = Path(sent["path"]).parents[1]
    sibling = root.with_name(root.name + "-private")
    sibling.mkdir()
    (sibling / "secret.png").write_bytes(picture)
    (root / "link.png").symlink_to(sibling / "secret.png")
    for path in ("..%2f..%2fetc%2fpasswd", f"..%2f{sibling.name}%2fsecret.png", f"{sibling}/secret.png", "link.png"):
        assert server.http.get(f"/api/v1/assets/{path}").status_code in (400, 403, 404), path
    for name in ("../x.png", f"{sibling}/x.png", "x.svg", "x", ""):
        refused = server.http.post("/api/v1/assets", params={"filename": name}, content=picture)
        assert refused.status_code in (400, 403, 422) and refused.json()["detail"], name
    assert [each.name for each in sibling.iterdir()] == ["secret.png"]
