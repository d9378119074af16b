"""Hardware, logs, the stubs and the page."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from scope.catalog import FailedPlugin
from scope.server import logs
from scope.server.hardware import Gpu, Hardware, cgroup_memory_bytes, parse_gpu
from scope.server.page import Page
from scope.settings import Settings
from tests.server.conftest import BASE_URL, Build, raw

# -- the process ------------------------------------------------------------------------------------------------------


def test_health(client: TestClient) -> None:
    first, second = (client.get("/health", params={"_t": 1}).json() for _ in range(2))
    assert first["status"] == "healthy"
    assert first.keys() == {"status", "timestamp", "server_start_time", "version", "git_commit"}
    assert isinstance(first["server_start_time"], float)
    assert first["server_start_time"] == second["server_start_time"]


def test_restart_only_where_someone_can(build_app: Build, client: TestClient) -> None:
    assert client.post("/api/v1/restart").status_code == 503
    asked: list[str] = []
    app = build_app()
    app.state.desk.restart = lambda: asked.append("again")
    with TestClient(app, base_url=BASE_URL) as other:
        assert other.post("/api/v1/restart").json()["message"]
    assert asked == ["again"]


def test_preload(build_app: Build) -> None:
    with TestClient(build_app(preload="passthrough"), base_url=BASE_URL) as client:
        assert client.get("/api/v1/pipeline/status").json()["pipeline_id"] == "passthrough"


def test_a_preload_that_fails_is_only_logged(build_app: Build, caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(build_app(preload="nope"), base_url=BASE_URL) as client:
        assert client.get("/health").status_code == 200
    assert "nope" in caplog.text


# -- hardware ---------------------------------------------------------------------------------------------------------


def test_hardware_info_has_both_forms(client: TestClient) -> None:
    info = client.get("/api/v1/hardware/info").json()
    for name in ("spout", "ndi", "syphon"):
        assert info[name].keys() == {"available", "reason", "install_hint"}
        assert info[name]["available"] or info[name]["reason"]
    assert (info["spout_available"], info["ndi_available"]) == (info["spout"]["available"], info["ndi"]["available"])
    assert {"vram_gb", "gpu_name", "total_vram_mb", "free_vram_mb"} <= info.keys()
    assert info["device"] in ("cuda", "mps", "cpu")


def test_hardware_with_a_card(build_app: Build) -> None:
    app = build_app()
    app.state.desk.hardware = Hardware(lambda: "NVIDIA H100, 80GB, 81559, 80000\nsecond, 1, 1\n")
    with TestClient(app, base_url=BASE_URL) as client:
        info = client.get("/api/v1/hardware/info").json()
        gpu = client.get("/api/v1/session/metrics").json()["gpu"]
    assert (info["gpu_name"], info["total_vram_mb"], info["vram_gb"], info["device"]) == (
        "NVIDIA H100, 80GB",
        81559,
        79.65,
        "cuda",
    )
    assert gpu == {"vram_total_mb": 81559, "vram_free_mb": 80000}


def test_the_driver_is_not_asked_every_time() -> None:
    answers = iter(["A, 2, 1"])
    hardware = Hardware(lambda: next(answers))
    assert hardware.gpu() == hardware.gpu() == Gpu("A", 2, 1)


@pytest.mark.parametrize("text", ["", "No devices were found", "A, [N/A], 1", "A, 1"])
def test_no_card(text: str) -> None:
    assert parse_gpu(text) is None


def test_memory_of_a_container(tmp_path: Path) -> None:
    assert cgroup_memory_bytes(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_memory_bytes(tmp_path) is None
    (tmp_path / "memory.max").write_text("1024\n")
    assert cgroup_memory_bytes(tmp_path) == 1024


def test_input_sources_are_honest(client: TestClient) -> None:
    found = client.get("/api/v1/input-sources").json()["input_sources"]
    assert [source["source_id"] for source in found] == ["ndi", "spout", "syphon", "video_file"]
    for source in found:
        reply = client.get(f"/api/v1/input-sources/{source['source_id']}/sources")
        assert reply.status_code == (200 if source["available"] else 400)
        assert source["available"] or source["reason"] in reply.json()["detail"]
    assert client.get("/api/v1/input-sources/telepathy/sources").status_code == 404


# -- logs -------------------------------------------------------------------------------------------------------------


def test_logs_over_http(client: TestClient, settings: Settings) -> None:
    assert client.get("/api/v1/logs/current").status_code == 404
    assert client.get("/api/v1/logs/tail").json() == {"lines": [], "offset": 0}
    settings.logs_dir.mkdir(parents=True)
    (settings.logs_dir / "scope-logs-2026-01-01-00-00-00.log").write_text("one\ntwo\n")
    reply = client.get("/api/v1/logs/current")
    assert reply.headers["content-disposition"] == 'attachment; filename="scope-logs-2026-01-01-00-00-00.txt"'
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.text == "one\ntwo\n"
    assert client.get("/api/v1/logs/tail", params={"lines": 1}).json() == {"lines": ["two"], "offset": 8}
    for query in ({"lines": 0}, {"lines": 1001}, {"since_offset": -1}, {"lines": "x"}):
        assert client.get("/api/v1/logs/tail", params=query).status_code == 422


def test_tail_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\nthr")
    first = logs.tail(path, 10, 0)
    assert first == logs.Tail(["one", "two"], 8)
    with path.open("a") as file:
        file.write("ee\nfour\n")
    assert logs.tail(path, 10, first.offset) == logs.Tail(["three", "four"], 19)
    assert logs.tail(path, 10, 19) == logs.Tail([], 19)
    path.write_text("new\n")
    assert logs.tail(path, 10, 19) == logs.Tail(["new"], 4)


def test_tail_of_a_long_file_reads_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {n}\n" for n in range(300_000)))
    found = logs.tail(path, 3, 0)
    assert found == logs.Tail(["line 299997", "line 299998", "line 299999"], path.stat().st_size)
    assert all(line.startswith("line ") for line in logs.tail(path, 10**6, 0).lines)


def test_old_logs_are_removed_and_the_newest_is_current(tmp_path: Path) -> None:
    for age, name in enumerate(("scope-logs-b.log", "scope-logs-a.log", "scope-logs-a.log.1", "other.log")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age * 1000,) * 2)
    logs.sweep(tmp_path, time.time() - 1500)
    assert {path.name for path in tmp_path.iterdir()} == {"scope-logs-b.log", "scope-logs-a.log", "other.log"}
    current = logs.current(tmp_path)
    assert current is not None
    assert current.name == "scope-logs-b.log"


# -- stubs, models, plugins -------------------------------------------------------------------------------------------


def test_onboarding_is_done_and_merges(client: TestClient) -> None:
    assert client.get("/api/v1/onboarding/status").json()["completed"] is True
    client.put("/api/v1/onboarding/status", json={"use_case": "vj", "inference_mode": None})
    merged = client.put("/api/v1/onboarding/status", json={"completed": False}).json()
    assert (merged["completed"], merged["use_case"], merged["inference_mode"]) == (False, "vj", "local")
    assert client.get("/api/v1/onboarding/status").json() == merged


def test_there_is_no_cloud(client: TestClient) -> None:
    status = client.get("/api/v1/cloud/status").json()
    assert (status["connected"], status["connecting"]) == (False, False)
    assert client.post("/api/v1/cloud/connect", json={}).status_code == 501
    assert client.post("/api/v1/cloud/disconnect").json() == status


def test_loras_under_both_addresses(client: TestClient, settings: Settings) -> None:
    for name in ("b.safetensors", "style/a.safetensors", "c.pt"):
        path = settings.lora_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(2 << 20))
    (settings.lora_dir / "style" / "circle").symlink_to(settings.lora_dir)
    reply = client.get("/api/v1/loras").json()
    assert reply == client.get("/api/v1/lora/list").json()
    assert reply["loras"] == reply["lora_files"]
    assert [(file["folder"], file["name"], file["size_mb"]) for file in reply["loras"]] == [(None, "b", 2.0), ("style", "a", 2.0)]
    assert Path(reply["loras"][1]["path"]) == settings.lora_dir / "style" / "a.safetensors"


def test_plugins_and_the_broken_ones(build_app: Build) -> None:
    app = build_app()
    desk = app.state.desk
    desk.catalog = replace(desk.catalog, failed=(FailedPlugin("scope-x", "ImportError: no module"),))
    with TestClient(app, base_url=BASE_URL) as client:
        reply = client.get("/api/v1/plugins").json()
    assert reply["total"] == len(reply["plugins"])
    assert reply["failed_plugins"][0]["error_type"] == "ImportError"


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api", "/api/", "/health/x", "/api/v1/pipelines", "/api/v1/hardware"])
def test_unknown_api_paths_are_json(client: TestClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        reply = client.request(method, path)
        assert reply.status_code == 404
        assert isinstance(reply.json()["detail"], str)


def test_wrong_method_is_405(client: TestClient) -> None:
    reply = client.get("/api/v1/pipeline/load")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


def test_docs_need_no_script(client: TestClient) -> None:
    text = client.get("/docs").text
    assert "<script" not in text
    assert "/api/v1/pipeline/load" in text


def test_the_page_and_its_files(build_app: Build, tmp_path: Path) -> None:
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html>")
    (web / "assets" / "index-abc.js").write_text("1")
    (web / "icon.svg").write_text("<svg/>")
    (web / "data.bin").write_text("x")
    app = build_app()
    app.router.default = Page(web)
    with TestClient(app, base_url=BASE_URL) as client:
        for path in ("/", "/some/page", "/missing.png", "/index.html", "/data.bin"):
            reply = client.get(path)
            assert (reply.status_code, reply.text) == (200, "<!doctype html>")
            assert reply.headers["content-type"] == "text/html; charset=utf-8"
            assert reply.headers["cache-control"] == "no-cache, no-store, must-revalidate"
            assert (reply.headers["pragma"], reply.headers["expires"]) == ("no-cache", "0")
        script = client.get("/assets/index-abc.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in script.headers["cache-control"]
        assert client.get("/icon.svg").headers["content-type"] == "image/svg+xml"
        assert client.get("/assets/old.js").status_code == 404
        assert client.head("/").status_code == 200
        assert client.post("/").status_code == 405


@pytest.mark.parametrize("path", ["/../secret.txt", "/assets/../../secret.txt", "/..\\secret.txt", "/a\0b"])
async def test_the_page_stays_in_its_folder(build_app: Build, tmp_path: Path, path: str) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").touch()
    (tmp_path / "secret.txt").write_text("secret")
    app = build_app()
    app.router.default = Page(tmp_path / "web")
    assert (await raw(app, "GET", path, [("host", "localhost")])).status == 403


def test_without_a_page(build_app: Build, tmp_path: Path) -> None:
    app = build_app()
    app.router.default = Page(tmp_path)
    with TestClient(app, base_url=BASE_URL) as client:
        assert client.get("/").json() == {"message": "Scope API - Frontend not built"}
        assert client.get("/page").status_code == 404
