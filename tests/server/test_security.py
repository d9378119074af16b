"""Nothing on the network or in another tab gets in unless its owner says so."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from scope.server.security import Policy, is_same
from scope.settings import Settings
from tests.server.conftest import BASE_URL, Build, raw

LOAD = "/api/v1/pipeline/load"
TOKEN = "a secret; with odd = signs"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7"]
)
@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/pipeline/status", "/nope"])
def test_a_rebound_name_reaches_nothing(client: TestClient, host: str, path: str) -> None:
    reply = client.get(path, headers={"host": host})
    assert reply.status_code == 403
    assert host.split(":")[0] in reply.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "localhost."])
def test_loopback_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"], [""], ["a b"], ["user@localhost"], ["localhost:80:80"]])
async def test_a_host_header_must_be_one_name(build_app: Build, hosts: list[str]) -> None:
    reply = await raw(build_app(), "GET", "/health", [("host", host) for host in hosts])
    assert reply.status == 400


def test_allowed_hosts(build_app: Build) -> None:
    with TestClient(build_app(allowed_hosts=("studio.local", "*.proxy.example")), base_url=BASE_URL) as client:
        for host, status in {"studio.local": 200, "a.proxy.example:443": 200, "proxy.example": 403, "xstudio.local": 403}.items():
            assert client.get("/health", headers={"host": host}).status_code == status, host
        assert client.post(LOAD, json={}, headers={"origin": "https://studio.local"}).status_code == 400


def test_every_interface_serves_addresses_but_no_foreign_names(build_app: Build) -> None:
    with TestClient(build_app(host="0.0.0.0", insecure=True), base_url=BASE_URL) as client:
        assert client.get("/health", headers={"host": "192.168.1.9:8000"}).status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 403


def test_websockets_pass_the_same_door(build_app: Build) -> None:
    app = build_app()
    with TestClient(app, base_url=BASE_URL) as client:
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}):
            with pytest.raises(WebSocketDisconnect) as ended, client.websocket_connect("/socket", headers=headers):
                pass
            assert ended.value.code == 1008


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "file://",
        "chrome-extension://abc",
        "http://[::2]",
        "",
        "x",
    ],
)
def test_foreign_origins_are_refused(client: TestClient, origin: str) -> None:
    for reply in (
        client.post(LOAD, json={"pipeline_id": "passthrough"}, headers={"origin": origin}),
        client.post("/api/v1/assets?filename=a.png", content=b"x", headers={"origin": origin}),
        client.get("/api/v1/pipeline/status", headers={"origin": origin}),
        client.options(LOAD, headers={"origin": origin, "access-control-request-method": "POST"}),
    ):
        assert reply.status_code == 403
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("origin", [BASE_URL, "http://localhost:5173", "https://127.0.0.1", "http://[::1]:3000"])
def test_our_page_and_loopback_pages_are_allowed(client: TestClient, origin: str) -> None:
    reply = client.post(LOAD, json={}, headers={"origin": origin})
    assert reply.status_code == 400
    assert reply.headers.get("access-control-allow-origin") == (None if origin == BASE_URL else origin)
    assert "access-control-allow-credentials" not in reply.headers
    assert "Origin" in reply.headers["vary"]


def test_no_origin_is_a_program(client: TestClient) -> None:
    assert client.post(LOAD, json={}).status_code == 400


async def test_two_origins_are_none(build_app: Build) -> None:
    headers = [("host", "localhost"), ("origin", BASE_URL), ("origin", "https://evil.example")]
    assert (await raw(build_app(), "GET", "/health", headers)).status == 403


def test_preflight_for_a_loopback_page(client: TestClient) -> None:
    asked = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    reply = client.options(LOAD, headers=asked | {"access-control-request-private-network": "true"})
    assert reply.status_code == 204
    assert "content-type" in reply.headers["access-control-allow-headers"]
    assert reply.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", [LOAD, "/api/v1/webrtc/offer", "/api/v1/session/parameters", "/api/v1/restart"])
async def test_a_form_cannot_change_anything(build_app: Build, kind: str | None, path: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"pipeline_id":"passthrough"}'

    headers = [("host", "localhost"), ("transfer-encoding", "chunked"), *([("content-type", kind)] if kind else [])]
    assert (await raw(build_app(), "POST", path, headers, body())).status == 415


def test_json_may_have_a_charset_and_an_empty_post_needs_no_type(client: TestClient) -> None:
    kind = {"content-type": "application/json; charset=utf-8"}
    assert client.post(LOAD, content=b"{}", headers=kind).status_code == 400
    assert client.post("/api/v1/pipeline/unload").status_code == 200


def test_addresses_have_a_length(client: TestClient) -> None:
    assert client.get("/health?_t=" + "1" * 9000).status_code == 414
    assert client.get("/" + "a" * 9000).status_code == 414


async def test_a_64_mb_pipeline_id_costs_nothing(build_app: Build) -> None:
    piece = b"a" * (1 << 20)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield piece

    app, headers = build_app(), [("host", "localhost"), ("content-type", "application/json")]
    undeclared = await raw(app, "POST", LOAD, headers, body())
    assert undeclared.status == 413
    assert undeclared.pieces_read == 3
    declared = await raw(app, "POST", LOAD, [*headers, ("content-length", str(64 << 20))], body())
    assert (declared.status, declared.pieces_read) == (413, 0)


def test_every_answer_carries_the_safety_headers(client: TestClient) -> None:
    for reply in (client.get("/health"), client.get("/"), client.get("/api/v1/nope"), client.get("/", headers={"host": "evil"})):
        policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"


def test_a_crash_says_nothing_about_itself(build_app: Build, caplog: pytest.LogCaptureFixture) -> None:
    app = build_app()

    def crash(*_: Any) -> None:
        raise RuntimeError("secret path /home/me")

    app.state.desk.house.status = crash
    with TestClient(app, base_url=BASE_URL) as client:
        reply = client.get("/api/v1/pipeline/status")
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "secret" in caplog.text
    assert reply.headers["x-content-type-options"] == "nosniff"


# -- the token --------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(build_app: Build) -> TestClient:
    return TestClient(build_app(host="0.0.0.0", token=TOKEN), base_url="http://192.168.1.9:8000", follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/", "/health", "/api/v1/pipeline/status", "/openapi.json", "/docs", "/assets/x.js", "/api/nope"]
)
def test_without_the_token_nothing_answers(locked: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": f"scope_8000={TOKEN}"}):
        assert locked.get(path, headers=headers).status_code == 401
    assert locked.get(path, params={"token": "wrong"}).status_code == 401


def test_loopback_asks_for_a_token_only_when_there_is_one(build_app: Build, client: TestClient) -> None:
    assert client.get("/health").status_code == 200
    with TestClient(build_app(token="t"), base_url=BASE_URL) as with_token:
        assert with_token.get("/health").status_code == 401


def test_bearer(locked: TestClient) -> None:
    assert locked.get("/api/v1/pipeline/status", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert locked.post(LOAD, json={}, headers={"authorization": f"bearer {TOKEN}"}).status_code == 400


def test_the_printed_address_becomes_a_cookie(locked: TestClient) -> None:
    reply = locked.get("/some/page", params={"token": TOKEN, "view": "full screen"})
    assert reply.status_code == 303
    assert reply.headers["location"] == "/some/page?view=full+screen"
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert locked.get("/api/v1/pipeline/status").status_code == 200  # the client has kept it


def test_the_redirect_stays_on_this_server(locked: TestClient) -> None:
    for path in ("//evil.example/", "/%2Fevil.example", "/%5Cevil.example"):
        location = locked.get(f"http://192.168.1.9:8000{path}", params={"token": TOKEN}).headers["location"]
        assert location.startswith("/")
        assert location[1] not in "/\\"


def test_a_program_may_put_the_token_into_an_api_address(locked: TestClient) -> None:
    assert locked.get("/api/v1/pipeline/status", params={"token": TOKEN}).status_code == 200
    assert locked.post(LOAD, json={}, params={"token": TOKEN}).status_code == 400
    assert locked.get(f"/api/v1/pipeline/status?token={TOKEN}&token=x").status_code == 401


def test_a_browser_without_the_token_is_told_what_to_do(locked: TestClient) -> None:
    reply = locked.get("/", headers={"accept": "text/html"})
    assert (reply.status_code, reply.headers["content-type"][:9]) == (401, "text/html")
    assert "locked" in reply.text


def test_the_cookie_is_not_the_token(settings: Settings) -> None:
    value = Policy.of(replace(settings, token=TOKEN)).cookie_value()
    assert len(value) == hashlib.sha256().digest_size * 2
    assert value != Policy.of(replace(settings, token="other")).cookie_value()


def test_same_origin_knows_default_ports() -> None:
    assert is_same("http://studio", "studio:80")
    assert is_same("https://studio", "studio")
    assert not is_same("http://studio:81", "studio")
    assert not is_same("http://other", "studio")
