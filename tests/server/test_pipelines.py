"""Loading in the three forms clients use, and everything that may be wrong with a body."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.server.conftest import BASE_URL, Build, StubEdge

LOAD, STATUS = "/api/v1/pipeline/load", "/api/v1/pipeline/status"
JSON = {"content-type": "application/json"}


def settled(client: TestClient) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (status := client.get(STATUS).json())["status"] == "loading":
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    found: dict[str, Any] = status
    return found


@pytest.mark.parametrize(
    "body",
    [
        {"pipelines": [{"node_id": "main", "pipeline_id": "passthrough", "load_params": None}], "user_id": "x"},
        {"pipelines": [{"pipeline_id": "gray"}, {"node_id": "main", "pipeline_id": "passthrough"}]},
        {"pipeline_ids": ["passthrough"], "load_params": {"width": 512, "loras": None, "lora_merge_mode": "none"}},
        {"pipeline_id": "passthrough", "load_params": {"seed": 42}, "connection_info": {"a": 1}},
    ],
)
def test_load_forms(client: TestClient, body: dict[str, Any]) -> None:
    assert client.get(STATUS).json()["status"] == "not_loaded"
    assert client.get("/ready").status_code == 503
    reply = client.post(LOAD, json=body)
    assert (reply.status_code, reply.json()) == (200, {"message": "Pipeline loading initiated successfully"})
    status = settled(client)
    assert (status["status"], status["pipeline_id"], status["error"]) == ("loaded", "passthrough", None)
    assert client.get("/ready").json() == {"ready": True, "status": "loaded", "detail": ""}
    assert client.post("/api/v1/pipeline/unload").status_code == 200
    assert client.get(STATUS).json()["status"] == "not_loaded"


def test_the_same_pipeline_twice_gets_two_nodes(client: TestClient) -> None:
    assert client.post(LOAD, json={"pipeline_ids": ["gray", "gray"]}).status_code == 200
    assert [stage["node_id"] for stage in settled(client)["chain"]] == ["gray", "gray-2"]


def test_sizes_are_snapped(client: TestClient) -> None:
    client.post(LOAD, json={"pipeline_id": "test-pattern", "load_params": {"width": 501, "height": 301}})
    params = settled(client)["load_params"]
    assert (params["width"] % 2, params["height"] % 2) == (0, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"pipelines": []}, 400),
        ({"pipeline_ids": []}, 400),
        ({"pipeline_id": "nope"}, 404),
        ({"pipeline_id": "../../etc/passwd"}, 404),
        ({"pipelines": [{"pipeline_id": "gray", "node_id": "a"}, {"pipeline_id": "gray", "node_id": "a"}]}, 400),
        ({"pipelines": [{"node_id": "a"}]}, 422),
        ({"pipelines": "gray"}, 422),
        ({"pipeline_ids": [1]}, 422),
        ({"pipeline_id": ["gray"]}, 422),
        ({"pipeline_id": "x" * 201}, 422),
        ({"pipeline_ids": ["gray"] * 33}, 422),
        ({"pipeline_ids": ["gray"] * 32}, 400),
        ({"pipeline_id": "gray", "load_params": [1]}, 422),
        ({"pipeline_id": "test-pattern", "load_params": {"width": 0}}, 400),
        ({"pipeline_id": "test-pattern", "load_params": {"height": 100_000}}, 400),
        ({"pipeline_id": "test-pattern", "load_params": {"height": "tall"}}, 400),
        ([], 422),
        ("gray", 422),
        (None, 422),
    ],
)
def test_bad_bodies(client: TestClient, body: Any, status: int) -> None:
    reply = client.post(LOAD, json=body)
    assert reply.status_code == status, reply.text
    sentence = reply.json()["detail"]
    assert isinstance(sentence, str)
    assert 0 < len(sentence) <= 600
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"pipeline_id": "gray", "load_params": {"x": NaN}}',
        b'{"pipeline_id": "gray", "load_params": {"x": -Infinity}}',
        b'{"pipeline_id": "gray", "load_params": {"x": 1e999}}',
        b'{"pipeline_id": "gray", "load_params": {"x": ' + b"9" * 5000 + b"}}",
        b'{"pipeline_id": "gray", "load_params": {"x": "\\ud800"}}',
        b'{"pipeline_id": "\\uD83D"}',
        b'{"pipeline_id": "gray", "load_params": {"x": ' + b"[" * 100 + b"]" * 100 + b"}}",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("path", [LOAD, "/api/v1/session/parameters", "/api/v1/webrtc/offer"])
def test_what_is_not_json_is_said_to_be_none(client: TestClient, body: bytes, path: str) -> None:
    reply = client.post(path, content=body, headers=JSON)
    assert reply.status_code == 422, reply.text
    assert isinstance(reply.json()["detail"], str)


def test_a_whole_surrogate_pair_is_fine(client: TestClient) -> None:
    reply = client.post(LOAD, content=b'{"pipeline_id": "\\ud83d\\ude00"}', headers=JSON)
    assert reply.status_code == 404
    assert "😀" in reply.json()["detail"]


# -- WebRTC -----------------------------------------------------------------------------------------------------------


def test_offer_with_nothing_loaded(client: TestClient, edge: StubEdge) -> None:
    reply = client.post("/api/v1/webrtc/offer", json={"sdp": "v=0", "type": "offer", "connection_info": {}})
    assert (reply.status_code, reply.json()["detail"]) == (400, "Pipeline not loaded. Please load pipeline first.")
    asked = {"sdp": "v=0", "initialParameters": {"seed": 1}, "client_id": "me", "role": "viewer"}
    client.post("/api/v1/webrtc/offer", json=asked)
    assert (edge.joined[1].parameters, edge.joined[1].identity, edge.joined[1].role) == ({"seed": 1}, "me", "viewer")


@pytest.mark.parametrize(
    "body", [{}, {"sdp": 1}, {"sdp": "v=0", "type": "answer"}, {"sdp": "x" * 300_000}, {"sdp": "v=0", "role": "king"}]
)
def test_offers_that_are_none(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/api/v1/webrtc/offer", json=body).status_code == 422


def test_sdp_garbage(client: TestClient) -> None:
    assert client.post("/api/v1/webrtc/offer", json={"sdp": "garbage"}).status_code == 400


def test_candidates(client: TestClient, edge: StubEdge) -> None:
    body = {"candidates": [{"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}, {"candidate": "x", "sdpMid": None}]}
    reply = client.patch("/api/v1/webrtc/offer/one", json=body)
    assert (reply.status_code, reply.content) == (204, b"")
    assert edge.candidates == [
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0},
        {"candidate": "x", "sdpMid": None, "sdpMLineIndex": None},
    ]
    assert client.patch("/api/v1/webrtc/offer/two", json=body).status_code == 404
    assert client.patch("/api/v1/webrtc/offer/one", json={"candidates": [{}]}).status_code == 422
    assert client.delete("/api/v1/webrtc/offer/one").status_code == 204
    assert edge.candidates == []


def test_ice_servers_is_always_a_list(client: TestClient) -> None:
    assert client.get("/api/v1/webrtc/ice-servers").json() == {"iceServers": []}


def test_the_edge_ends_with_the_app(build_app: Build, edge: StubEdge) -> None:
    with TestClient(build_app(), base_url=BASE_URL):
        assert not edge.closed
    assert edge.closed


# -- session ----------------------------------------------------------------------------------------------------------


def test_parameters_without_a_session(client: TestClient) -> None:
    assert client.get("/api/v1/session/parameters").json() == {"parameters": {}}
    metrics = client.get("/api/v1/session/metrics").json()
    assert metrics["sessions"] == {}
    assert metrics["webrtc"] == {"sessions": {}}


def test_parameters_over_http(client: TestClient) -> None:
    client.post(LOAD, json={"pipeline_id": "test-pattern"})
    assert settled(client)["status"] == "loaded"
    reply = client.post("/api/v1/session/parameters", json={"speed": 0.5})
    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "applied_parameters": {"speed": 0.5}})
    assert client.post("/api/v1/session/parameters", json={"speed": "fast"}).status_code == 422
    assert client.post("/api/v1/session/parameters", json={"node_id": 5}).status_code == 422
