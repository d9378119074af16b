"""STUN and TURN: what is configured, and what a provider lends, against a local server that may misbehave."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from scope.edges import ice
from scope.edges.ice import PROVIDERS, IceServers
from scope.settings import from_environment

TURN = {"urls": ["turn:turn.example:3478"], "username": "u", "credential": "c"}


class Lender(HTTPServer):
    """Answers every request with `answer`, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answer: Any = {"ice_servers": [TURN], "iceServers": TURN}
        self.status = 200
        self.asked: list[tuple[str, str | None, bytes]] = []


class _Answer(BaseHTTPRequestHandler):
    server: Lender

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def lender() -> Iterator[Lender]:
    server = Lender()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def servers_of(lender: Lender, env: dict[str, str]) -> IceServers:
    """The real rows, pointed at the local server."""
    base = f"http://127.0.0.1:{lender.server_port}"
    local = {name: replace(row, url=base + "/" + row.url.split("/", 3)[3]) for name, row in PROVIDERS.items()}
    return IceServers(from_environment(env), local)


async def test_nothing_is_asked_and_nothing_used_unless_configured(lender: Lender) -> None:
    assert await servers_of(lender, {}).current() == [] and lender.asked == []
    fixed = await servers_of(lender, {"SCOPE_ICE_SERVERS": "stun:a stun:b"}).current()
    assert [each["urls"] for each in fixed] == ["stun:a", "stun:b"] and lender.asked == []


async def test_twilio_lends(lender: Lender) -> None:
    found = servers_of(lender, {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "SCOPE_ICE_SERVERS": "stun:a"})
    assert [each["urls"] for each in await found.current()] == ["stun:a", TURN["urls"]]
    ((path, authorization, _),) = lender.asked
    assert path == "/2010-04-01/Accounts/AC1/Tokens.json"
    assert authorization == "Basic " + base64.b64encode(b"AC1:t").decode()


async def test_cloudflare_lends_and_is_asked_once_until_it_must_be_renewed(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(ice, "monotonic", lambda: now_s)
    found = servers_of(lender, {"CLOUDFLARE_TURN_KEY_ID": "k", "CLOUDFLARE_TURN_KEY_API_TOKEN": "s"})
    assert await found.current() == [TURN] and await found.current() == [TURN]
    ((path, authorization, body),) = lender.asked
    assert path.endswith("/keys/k/credentials/generate-ice-servers") and authorization == "Bearer s"
    assert json.loads(body) == {"ttl": ice.LIFE_S}
    now_s += 0.9 * ice.LIFE_S
    assert await found.current() == [TURN] and len(lender.asked) == 2


@pytest.mark.parametrize("answer", [{}, [], "no", {"ice_servers": [7]}, {"ice_servers": [{}]}])
async def test_a_lender_that_talks_nonsense_or_is_down_harms_nobody(
    lender: Lender, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(ice, "monotonic", lambda: now_s)
    lender.answer = answer
    env = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "SCOPE_ICE_SERVERS": "stun:a"}
    found = servers_of(lender, env)
    assert [each["urls"] for each in await found.current()] == ["stun:a"]
    lender.answer, lender.status = {"ice_servers": [TURN]}, 500
    now_s += ice.RETRY_S
    assert len(await found.current()) == 1
    lender.status = 200
    assert len(await found.current()) == 1, "not asked again at once"
    now_s += ice.RETRY_S
    assert len(await found.current()) == 2
    assert "secret" not in repr(from_environment(env)) and "'t'" not in repr(from_environment(env).turn)
