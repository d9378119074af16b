"""The command as a user runs it: a real process on a real port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scope import __version__
from scope.errors import Busy, Unavailable
from scope.server import doctor, launch
from scope.settings import Settings

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="signals and exec are POSIX")
SCOPE = (sys.executable, "-m", "scope")
Start = Callable[..., "Running"]


class Running:
    """A scope process; its first line of output tells the address."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPE_", "DAYDREAM_", "PIPELINE"))}
        env = clean | {"DAYDREAM_SCOPE_DIR": str(folder)} | variables
        self.process = subprocess.Popen(
            [*SCOPE, *arguments, "-N"], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def address(self) -> str:
        line = self.line()
        found = re.fullmatch(rf"Scope {re.escape(__version__)} is at (http://\S+)\n", line)
        assert found, line + (self.process.stderr.read() if not line and self.process.stderr else "")
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def starting(*arguments: str, **variables: str) -> Running:
        started.append(Running(tmp_path / "scope", *arguments, **variables))
        return started[-1]

    yield starting
    for running in started:
        running.process.kill()
        running.process.communicate()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SCOPE, *arguments], capture_output=True, text=True, timeout=60, env=dict(os.environ) | variables)


def health(address: str, **headers: str) -> Any:
    return httpx2.get(f"{address.partition('?')[0]}health", headers=headers, timeout=5)


def test_version() -> None:
    for arguments in (("--version",), ("serve", "--version"), ("-N", "--version")):
        assert run(*arguments).stdout == f"scope {__version__}\n"


def test_pipelines() -> None:
    lines = run("pipelines").stdout.splitlines()
    assert any(line.startswith("passthrough ") for line in lines)
    assert all("not here" in line for line in lines if line.startswith("longlive "))


def test_a_wrong_variable_is_one_sentence() -> None:
    done = run("-N", SCOPE_PORT="many")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "SCOPE_PORT" in done.stderr


@POSIX_ONLY
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_and_ends_clean(start: Start, number: int) -> None:
    running = start("--port", "0", PIPELINE="passthrough")
    address = running.address()
    assert health(address).json()["status"] == "healthy"
    began = time.monotonic()
    assert running.end(number) == 0
    assert time.monotonic() - began < 5


def test_a_taken_port_is_one_sentence(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = start("--port", str(taken.getsockname()[1]))
        _, complaint = running.process.communicate(timeout=30)
    assert running.process.returncode == 1
    assert complaint.count("\n") == 1
    assert "--port" in complaint


@POSIX_ONLY
def test_beyond_loopback_a_token_is_made_and_printed(start: Start, tmp_path: Path) -> None:
    running = start("--host", "0.0.0.0", "--port", "0")
    address = running.address()
    token = address.partition("?token=")[2]
    assert len(token) >= 32
    local = f"http://127.0.0.1:{httpx2.URL(address).port}/"
    assert health(local).status_code == 401
    assert health(local, authorization=f"Bearer {token}").status_code == 200
    assert httpx2.get(f"{local}?token={token}").status_code == 303
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert logs
    assert token not in logs


@POSIX_ONLY
def test_restart_with_a_parent_exits_with_42(start: Start) -> None:
    running = start("--port", "0", DAYDREAM_SCOPE_MANAGED="1")
    assert httpx2.post(f"{running.address()}api/v1/restart").status_code == 200
    assert running.process.wait(timeout=10) == launch.MANAGED_EXIT


@POSIX_ONLY
def test_restart_becomes_a_fresh_server_at_the_same_address(start: Start) -> None:
    running = start("--port", "0")
    address = running.address()
    before = health(address).json()["server_start_time"]
    assert httpx2.post(f"{address}api/v1/restart").status_code == 200
    assert running.address() == address
    assert health(address).json()["server_start_time"] > before
    assert running.end() == 0


@POSIX_ONLY
def test_a_64_mb_pipeline_id_over_a_socket(start: Start) -> None:
    running = start("--port", "0")
    address = running.address()
    assert httpx2.patch(f"{address}api/v1/webrtc/offer/nobody", json={"candidates": []}).status_code < 500  # the edge is imported
    before = rss_bytes(running.process.pid)
    reply = httpx2.post(f"{address}api/v1/pipeline/load", json={"pipeline_id": "x" * (64 << 20)}, timeout=30)
    assert reply.status_code == 413
    assert health(address).status_code == 200
    assert rss_bytes(running.process.pid) - before < 8 << 20


@POSIX_ONLY
@pytest.mark.parametrize("head", [b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "], ids=["address", "header"])
def test_a_head_without_end(start: Start, head: bytes) -> None:
    running = start("--port", "0")
    address = running.address()
    with socket.create_connection(("127.0.0.1", httpx2.URL(address).port or 0), timeout=10) as endless:
        endless.sendall(head)
        with pytest.raises(OSError):
            for _ in range(64):
                endless.sendall(b"a" * (1 << 20))
    assert health(address).status_code == 200


def rss_bytes(pid: int) -> int:
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


# -- without a process ------------------------------------------------------------------------------------------------


def test_who_needs_a_token(settings: Settings) -> None:
    beyond = replace(settings, host="0.0.0.0")
    assert launch.locked(settings).token is None
    assert launch.locked(beyond, secret=lambda: "made").token == "made"
    assert launch.locked(replace(beyond, token="mine")).token == "mine"
    assert launch.locked(replace(beyond, insecure=True)).token is None


def test_addresses_to_click(settings: Settings) -> None:
    assert launch.address(settings) == "http://127.0.0.1:8000/"
    assert launch.address(replace(settings, host="::1", token="t")) == "http://[::1]:8000/?token=t"
    assert "0.0.0.0" not in launch.address(replace(settings, host="0.0.0.0"))


def test_what_cannot_be_bound(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Busy):
        launch.bind(replace(settings, port=taken.getsockname()[1]))
    with pytest.raises(Unavailable):
        launch.bind(replace(settings, host="192.0.2.1"))


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_says_what_to_do(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        blocked = replace(settings, port=taken.getsockname()[1], base_dir=Path("/dev/null/scope"))
        found = doctor.examine(blocked)
    states = {check.name: check.state for check in found}
    assert {
        "Python",
        "processor",
        "memory",
        "GPU",
        "torch",
        "video codecs",
        "web page",
        "port",
        "STUN/TURN",
        "access",
    } <= states.keys()
    assert (states["port"], states["data folder"], states["logs folder"]) == ("note", "bad", "good")
    assert all(check.advice for check in found if check.state != "good")
    assert all(check.name in doctor.table(found) for check in found)


def test_doctor_for_programs(tmp_path: Path) -> None:
    done = run("doctor", "--json", DAYDREAM_SCOPE_DIR=str(tmp_path))
    assert {"name", "state", "found", "advice"} == json.loads(done.stdout)[0].keys()
    assert done.returncode == 0, done.stdout
