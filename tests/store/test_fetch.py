"""Hops, tokens and addresses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from scope.errors import BadInput, Denied, NeedsToken, Unavailable
from scope.store.fetch import Service, TryAgain, Web, without_query
from scope.store.safety import Rules
from tests.store.far import Far

ADVICE = "Set a token."


def read(web: Web, url: str) -> bytes:
    with web.get(url) as reply:
        return b"".join(iter(lambda: reply.read(1000), b""))


def known(far: Far, token: str | None = "hf_secret") -> Callable[[], dict[str, Service]]:
    return lambda: {far.address: Service("Hugging Face", token, ADVICE)}


def test_the_token_goes_to_its_owner_and_nobody_else(far: Far, other: Far) -> None:
    web = Web(Rules.trusting(far.address, other.address), known(far))
    far.put("/here", b"1")
    far.put("/moved", moved_to="/here")
    far.put("/away", moved_to=f"{other.address}/there?signature=x")
    other.put("/there?signature=x", b"2")
    other.put("/back", moved_to=f"{far.address}/here")
    assert (read(web, f"{far.address}/moved"), read(web, f"{far.address}/away")) == (b"1", b"2")
    assert {asked.authorization for asked in far.asked} == {"Bearer hf_secret"}
    assert [asked.authorization for asked in other.asked] == [None]
    far.asked.clear()
    read(web, f"{other.address}/back")
    assert other.asked[-1].authorization is None


@pytest.mark.parametrize("near", ["?x=huggingface.co", "/huggingface.co/", "#huggingface.co"])
def test_a_name_in_the_address_is_not_the_host(far: Far, other: Far, near: str) -> None:
    web = Web(Rules.trusting(far.address, other.address), known(far))
    with pytest.raises(Exception, match="no such file"):
        web.get(f"{other.address}/{near}")
    assert other.asked[0].authorization is None


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://localhost/x",
        "https://[::1]/x",
        "file:///etc/passwd",
    ]
    + ["http://example.com/x", "https://2130706433/x", "https://127.1/x", "ftp://example.com/"],
)
def test_a_redirect_leads_nowhere_inside(far: Far, web: Web, target: str) -> None:
    far.put("/x", moved_to=target)
    with pytest.raises(BadInput):
        web.get(f"{far.address}/x")


def test_a_name_that_leads_inside(web: Web) -> None:
    seen: list[str] = []

    def rebound(host: str, port: int) -> list[str]:
        seen.append(host)
        return ["192.168.0.1"]

    with pytest.raises(BadInput, match=r"files\.example is not a public address"):
        replace(web, lookup=rebound).get("https://files.example/x.safetensors")
    assert seen == ["files.example"]


def test_the_address_that_was_checked_is_the_one_that_is_used(far: Far) -> None:
    """A second look-up could be answered differently; there is none."""
    port = int(far.address.rpartition(":")[2])
    answers = iter([["127.0.0.1"]])
    web = Web(Rules.trusting(f"http://named.example:{port}"), lookup=lambda *_: next(answers))
    far.put("/x", b"1")
    assert read(web, f"http://named.example:{port}/x") == b"1"


def test_an_endless_chain(far: Far, web: Web) -> None:
    far.put("/x", moved_to="/x")
    with pytest.raises(Unavailable, match="without end"):
        web.get(f"{far.address}/x")


@pytest.mark.parametrize(("status", "error"), [(401, NeedsToken), (403, Denied)])
def test_refused_by_who_knows_us(far: Far, status: int, error: type[Exception]) -> None:
    far.put("/x", statuses=[status])
    with pytest.raises(error, match=ADVICE):
        Web(Rules.trusting(far.address), known(far, None)).get(f"{far.address}/x")
    assert far.asked[0].authorization is None


def test_what_the_hub_says_before_it_sends_us_on(far: Far, other: Far) -> None:
    far.put("/x", moved_to=f"{other.address}/y", linked_sha256="A" * 64)
    other.put("/y", b"12345", etag='"cdn"')
    with Web(Rules.trusting(far.address, other.address)).get(f"{far.address}/x") as reply:
        assert (reply.sha256, reply.identity, reply.file_bytes) == ("a" * 64, "a" * 64, 5)


def test_certificates_are_checked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer_badly() -> None:
            line, _ = server.accept()
            with line:
                line.recv(1000)
                line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer_badly)
        thread.start()
        with pytest.raises(TryAgain):
            Web(Rules.trusting(f"https://127.0.0.1:{port}")).get(f"https://127.0.0.1:{port}/")
        thread.join()


def test_through_a_proxy(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Https goes through it (and it is told who asks); neighbours over plain http are asked directly."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            line, _ = proxy.accept()
            with line:
                heard.append(line.recv(4000))
                line.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        web = Web(Rules.trusting(far.address), lookup=lambda host, _: [host] if host[0].isdigit() else ["1.1.1.1"])
        with pytest.raises(TryAgain):
            web.get("https://files.example/x")
        thread.join()
        with pytest.raises(BadInput):
            web.get("https://10.0.0.1/x")
    assert b"CONNECT files.example:443" in heard[0] and b"Proxy-Authorization: Basic bWU6c2VjcmV0" in heard[0]
    far.put("/x", b"1")
    assert read(web, f"{far.address}/x") == b"1"


def test_json_pages(far: Far, web: Web) -> None:
    far.put_json("/one", [1], headers={"Link": f'<{far.address}/two>; rel="next"'})
    far.put_json("/two", [2])
    first, following = web.json(f"{far.address}/one")
    assert (first, following) == ([1], f"{far.address}/two")
    assert web.json(f"{far.address}/two") == ([2], None)


def test_json_that_is_none(far: Far, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    far.put("/page", b"<html>")
    far.put("/deep", b"[" * 100_000)
    for path in ("/page", "/deep"):
        with pytest.raises(Unavailable, match="as expected"):
            web.json(far.address + path)
    monkeypatch.setattr("scope.store.fetch.JSON_LIMIT_BYTES", 1000)
    with pytest.raises(Unavailable, match="without end"):
        web.json(f"{far.address}/deep")


def test_what_may_be_written_down() -> None:
    assert without_query("https://civitai.com/api/download/models/1?token=secret") == "https://civitai.com/api/download/models/1"
    assert "secret" not in repr(Service("x", "secret", ""))
