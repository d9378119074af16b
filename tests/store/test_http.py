"""The store over HTTP, against far ends of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from scope import catalog
from scope.published import FILES, NEEDS, rows
from scope.server.app import build
from scope.settings import Settings, from_environment
from scope.store.store import Store
from tests.server.conftest import BASE_URL, StubEdge
from tests.store.conftest import QUICK
from tests.store.far import Far, FarFile, sha256
from tests.store.lora_files import lora, put
from tests.store.test_models import publish

STATUS, DOWNLOAD, LORAS = "/api/v1/models/status", "/api/v1/models/download", "/api/v1/loras"
CONTENT = lora()
NEON = "/alice/styles/resolve/main/neon.safetensors"


@pytest.fixture
def settings(far: Far, other: Far, tmp_path: Path) -> Settings:
    folders = {"DAYDREAM_SCOPE_DIR": str(tmp_path / "scope"), "HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": far.address}
    made: Settings = from_environment(folders, in_process=True, civitai_url=other.address)
    return replace(made, lora_shared_dir=tmp_path / "shared")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = build(settings, catalog.load(), edge=StubEdge())
    app.state.desk.store = Store.of(settings, QUICK)
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


def status(client: TestClient, pipeline: str = "longlive") -> Any:
    reply = client.get(STATUS, params={"pipeline_id": pipeline})
    assert reply.status_code == 200
    return reply.json()


def settled(client: TestClient, what: Callable[[Any], bool]) -> Any:
    until_s = time.monotonic() + 10
    while not what(found := status(client)):
        assert time.monotonic() < until_s, found
        time.sleep(0.01)
    return found


def slow_base(far: Far, bytes_per_s: float) -> FarFile:
    file = far.files["/daydreamlive/LongLive-1.3B/resolve/main/models/longlive_base.pt"]
    file.bytes_per_s = bytes_per_s
    return file


# -- models -----------------------------------------------------------------------------------------------------------


def test_the_way_a_client_goes(far: Far, client: TestClient) -> None:
    publish(far, "longlive")
    before = status(client)
    assert (before["downloaded"], before["progress"], before["bytes_done"]) == (False, None, 0)
    assert before["bytes_total"] > 15e9
    assert {artifact["repo"] for artifact in before["artifacts"]} == {row.repo for row in rows("longlive")}
    assert not any(artifact["present"] for artifact in before["artifacts"])
    slow_base(far, 40_000)
    assert client.post(DOWNLOAD, json={"pipeline_id": "longlive", "user_id": "x"}).status_code == 200
    again = client.post(DOWNLOAD, json={"pipeline_id": "longlive"})
    assert again.status_code == 409 and "already" in again.json()["detail"]
    during = settled(client, lambda found: found["speed"] > 0 and found["progress"]["percentage"] > 0)
    assert during["progress"]["is_downloading"] and not during["downloaded"]
    assert 0 < during["bytes_done"] <= during["bytes_total"] < 1e6
    assert client.delete("/api/v1/models/longlive").status_code == 409
    after = settled(client, lambda found: found["downloaded"])
    assert after["progress"] is None and all(artifact["present"] for artifact in after["artifacts"])
    assert client.post(DOWNLOAD, json={"pipeline_id": "longlive"}).json() == {"message": "Nothing to download"}


def test_cancel(far: Far, client: TestClient) -> None:
    publish(far, "longlive")
    slow_base(far, 10_000)
    assert client.delete(DOWNLOAD, params={"pipeline_id": "longlive"}).status_code == 404
    client.post(DOWNLOAD, json={"pipeline_id": "longlive"})
    settled(client, lambda found: found["bytes_done"] > 0)
    assert client.delete(DOWNLOAD, params={"pipeline_id": "longlive"}).status_code == 200
    found = settled(client, lambda found: not found["progress"]["is_downloading"])
    assert found["progress"]["state"] == "cancelled" and not found["downloaded"]
    slow_base(far, 0)
    assert client.post(DOWNLOAD, json={"pipeline_id": "longlive"}).status_code == 200
    settled(client, lambda found: found["downloaded"])


def test_a_refusal_says_what_to_do_until_the_next_start(far: Far, client: TestClient) -> None:
    publish(far, "longlive")
    far.files["/daydreamlive/LongLive-1.3B/resolve/main/models/lora.pt"].statuses = [401]
    client.post(DOWNLOAD, json={"pipeline_id": "longlive"})
    found = settled(client, lambda found: found["progress"] and found["progress"]["error"])
    assert not found["progress"]["is_downloading"] and "Hugging Face token" in found["progress"]["error"]
    assert status(client)["progress"]["error"] == found["progress"]["error"]
    client.post(DOWNLOAD, json={"pipeline_id": "longlive"})
    settled(client, lambda found: found["downloaded"])


def test_pipelines_without_weights(client: TestClient) -> None:
    assert client.get(STATUS).status_code == 422
    assert client.get(STATUS, params={"pipeline_id": "nope"}).status_code == 404
    found = status(client, "passthrough")
    assert (found["downloaded"], found["progress"], found["artifacts"]) == (True, None, [])
    assert client.post(DOWNLOAD, json={"pipeline_id": "passthrough"}).status_code == 200
    assert client.post(DOWNLOAD, json={"pipeline_id": "nope"}).status_code == 404
    assert client.delete("/api/v1/models/passthrough").status_code == 404


def test_the_whole_list_and_removing(far: Far, client: TestClient, settings: Settings) -> None:
    for row in rows("longlive"):
        for part in row.parts:
            put(settings.models_dir / row.repo.split("/")[1] / part, b"123")
    listed = {model["pipeline_id"]: model for model in client.get("/api/v1/models").json()["models"]}
    assert listed["longlive"]["downloaded"] and not listed["memflow"]["downloaded"]
    assert listed.keys() <= NEEDS.keys() and listed["longlive"]["name"] == "LongLive"
    freed = client.delete("/api/v1/models/longlive").json()
    assert freed["freed_bytes"] >= 3 * len(FILES["tokenizer"].holds)
    assert not status(client)["downloaded"]


# -- LoRA files -------------------------------------------------------------------------------------------------------


def test_install_answers_when_it_is_here(far: Far, client: TestClient, settings: Settings) -> None:
    far.put(NEON, CONTENT, linked_sha256=sha256(CONTENT))
    reply = client.post(LORAS, json={"url": far.address + NEON})
    assert reply.status_code == 200, reply.text
    file = reply.json()["file"]
    assert Path(file["path"]) == settings.lora_dir / "neon.safetensors"
    assert (file["sha256"], file["base_model"], file["provenance"]["source"]) == (sha256(CONTENT), "Wan2.1 1.3B", "huggingface")
    assert "longlive" in file["pipelines"] and file["problem"] is None
    listed = client.get(LORAS).json()
    assert listed["lora_files"] == listed["loras"] == [file]
    assert client.post(LORAS, json={"url": far.address + NEON}).status_code == 409
    assert client.delete(f"{LORAS}/neon").json()["success"] is True
    assert client.delete(f"{LORAS}/neon").status_code == 404
    assert client.get("/api/v1/lora/list").json()["loras"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://example.com/x.safetensors"}, 400),
        ({"url": "https://huggingface.co/a/b/blob/main/x.safetensors"}, 400),
        ({"url": "HUB/missing.safetensors"}, 404),
        ({"url": "HUB/private.safetensors"}, 401),
        ({"url": "HUB/gated.safetensors"}, 403),
        ({"url": "HUB/page.safetensors"}, 400),
        ({"url": f"HUB{NEON}", "filename": "../x.safetensors"}, 400),
        ({"url": f"HUB{NEON}", "filename": "x.bin"}, 400),
        ({}, 422),
    ],
)
def test_install_refused(far: Far, client: TestClient, settings: Settings, body: dict[str, str], code: int) -> None:
    far.put(NEON, CONTENT)
    far.put("/private.safetensors", statuses=[401])
    far.put("/gated.safetensors", statuses=[403])
    far.put("/page.safetensors", b"<html>")
    reply = client.post(LORAS, json={name: value.replace("HUB", far.address) for name, value in body.items()})
    assert reply.status_code == code, reply.text
    assert isinstance(reply.json()["detail"], str)
    assert not list(settings.lora_dir.rglob("*.safetensors*"))


def test_the_server_answers_others_while_a_file_comes(far: Far, client: TestClient) -> None:
    gate = threading.Event()
    slow = far.put(NEON, CONTENT)
    first = far.put("/slow.safetensors", CONTENT, moved_to=NEON)
    with ThreadPoolExecutor() as pool:
        slow.gate = gate
        waiting = pool.submit(client.post, LORAS, json={"url": f"{far.address}/slow.safetensors"})
        assert client.get("/health").status_code == 200 and not waiting.done()
        gate.set()
        assert waiting.result(10).status_code == 200
    assert first.moved_to == NEON


def test_install_without_waiting_and_cancel(far: Far, client: TestClient) -> None:
    far.put(NEON, CONTENT, bytes_per_s=5_000)
    assert client.post(LORAS, json={"url": far.address + NEON, "wait": False}).json()["file"] is None
    found = client.get("/api/v1/lora/installs").json()["installs"]
    assert [(install["name"], install["state"]) for install in found] in [
        [("neon.safetensors", "running")],
        [("neon.safetensors", "planning")],
    ]
    assert client.delete("/api/v1/lora/installs/neon.safetensors").status_code == 200
    until_s = time.monotonic() + 5
    while client.get("/api/v1/lora/installs").json()["installs"][0]["state"] != "cancelled":
        assert time.monotonic() < until_s
    assert client.delete("/api/v1/lora/installs/neon.safetensors").status_code == 404
    assert client.get(LORAS).json()["loras"] == []


def test_the_file_a_workflow_names(far: Far, other: Far, client: TestClient, settings: Settings) -> None:
    far.publish("alice/styles", {"neon.safetensors": CONTENT})
    body = {"source": "huggingface", "repo_id": "alice/styles", "hf_filename": "neon.safetensors", "subfolder": "imported"}
    reply = client.post("/api/v1/lora/download", json=body | {"expected_sha256": sha256(CONTENT)}).json()
    assert (reply["filename"], reply["sha256"], reply["size_bytes"]) == ("neon.safetensors", sha256(CONTENT), len(CONTENT))
    assert Path(reply["path"]).read_bytes() == CONTENT
    assert client.post("/api/v1/lora/download", json=body | {"expected_sha256": sha256(CONTENT)}).json() == reply
    (settings.lora_dir / "lora_manifest.json").unlink()  # a file that was put there by hand will do as well
    assert client.post("/api/v1/lora/download", json=body | {"expected_sha256": sha256(CONTENT)}).json() == reply
    assert client.post("/api/v1/lora/download", json=body | {"subfolder": None, "expected_sha256": "0" * 64}).status_code in (
        400,
        503,
    )
    other.put_json(
        "/api/v1/model-versions/5",
        {"id": 5, "modelId": 4, "files": [{"name": "c.safetensors", "downloadUrl": f"{far.address}{NEON}"}]},
    )
    theirs = client.post("/api/v1/lora/download", json={"source": "civitai", "version_id": "5", "civitai_token": "mine"})
    assert theirs.status_code == 200 and theirs.json()["filename"] == "c.safetensors"
    assert client.get(LORAS).json()["loras"][0]["provenance"]["version_id"] == "5"


@pytest.mark.parametrize(
    "body",
    [
        {"source": "huggingface", "repo_id": "a/b"},
        {"source": "huggingface", "repo_id": "../b", "hf_filename": "x.safetensors"},
        {"source": "huggingface", "repo_id": "a/b", "hf_filename": "../x.safetensors"},
        {"source": "civitai"},
        {"source": "url"},
        {"source": "url", "url": "http://169.254.169.254/x.safetensors"},
        {"source": "url", "url": "https://127.0.0.1/x.safetensors"},
        {"source": "url", "url": "file:///etc/passwd"},
    ],
)
def test_a_file_that_is_not_fully_named_or_inside(client: TestClient, body: dict[str, str]) -> None:
    assert client.post("/api/v1/lora/download", json=body).status_code == 400


def test_removing_reaches_no_further(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    secret = put(settings.lora_dir.parent / "secret.safetensors")
    shared = put(tmp_path / "shared" / "theirs.safetensors")
    for path in ("..%2Fsecret", "%2e%2e%2fsecret", "..%5Csecret", "a/../../secret"):
        assert client.delete(f"{LORAS}/{path}").status_code in (404, 405)
    assert client.delete(f"{LORAS}/theirs").status_code == 403
    assert secret.exists() and shared.exists()


def test_provenance(client: TestClient, settings: Settings) -> None:
    put(settings.lora_dir / "x" / "a.safetensors")
    body = {"source": "url", "url": "https://example.com/a.safetensors"}
    entry = client.put("/api/v1/lora/x/a.safetensors/provenance", json=body).json()
    assert (entry["filename"], entry["provenance"]) == ("x/a.safetensors", body)
    assert client.get(LORAS).json()["loras"][0]["provenance"] == body
    assert client.put("/api/v1/lora/no.safetensors/provenance", json=body).status_code == 404
    assert client.put("/api/v1/lora/x/a.safetensors/provenance", json={"source": "moon"}).status_code == 422


# -- keys -------------------------------------------------------------------------------------------------------------


def test_keys_go_in_and_never_out(client: TestClient, far: Far) -> None:
    keys = client.get("/api/v1/keys").json()["keys"]
    assert [(key["id"], key["env_var"], key["is_set"]) for key in keys] == [
        ("huggingface", "HF_TOKEN", False),
        ("civitai", "CIVITAI_API_TOKEN", False),
    ]
    assert client.put("/api/v1/keys/huggingface", json={"value": "hf_secret"}).json()["success"] is True
    reply = client.get("/api/v1/keys")
    assert "hf_secret" not in reply.text and reply.json()["keys"][0]["source"] == "stored"
    far.put(NEON, CONTENT)
    client.post(LORAS, json={"url": far.address + NEON})
    assert far.asked[-1].authorization == "Bearer hf_secret"  # in use at once
    assert client.delete("/api/v1/keys/huggingface").status_code == 200
    assert client.delete("/api/v1/keys/huggingface").status_code == 404
    assert client.put("/api/v1/keys/moon", json={"value": "x"}).status_code == 404
    assert client.put("/api/v1/keys/civitai", json={"value": ""}).status_code == 422


def test_keys_of_the_environment_stay(settings: Settings) -> None:
    app = build(replace(settings, hub_token="hf_secret"), catalog.load(), edge=StubEdge())
    with TestClient(app, base_url=BASE_URL) as client:
        reply = client.get("/api/v1/keys")
        assert reply.json()["keys"][0]["source"] == "env_var" and "hf_secret" not in reply.text
        assert client.put("/api/v1/keys/huggingface", json={"value": "x"}).status_code == 409
        assert client.delete("/api/v1/keys/huggingface").status_code == 409
