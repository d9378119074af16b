"""The hold on a worker: hangs are noticed, it ends exactly once, and nothing that goes wrong on the way breaks the way."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from scope.contract import Message
from scope.errors import Unavailable
from scope.frame import Frame
from scope.runtime import shared, watch, worker
from scope.runtime.ring import SLOTS
from scope.runtime.worker import Worker
from tests.runtime.live_client import PATIENCE_S, PLUGINS, code, numbered, until


class Ear:
    """Implements `worker.Listener`: everything it hears, in order."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()

    def on_frame(self, worker: Worker, frame: Frame) -> None:
        self.heard.put(("frame", frame))

    def on_message(self, worker: Worker, message: Message) -> None:
        self.heard.put((message["op"], message))

    def on_silent(self, worker: Worker) -> None:
        self.heard.put(("silent", None))

    def on_lost(self, worker: Worker, why: str) -> None:
        self.heard.put(("lost", why))

    def wait(self, kind: str) -> Any:
        while True:
            found, what = self.heard.get(timeout=10.0)
            if found == kind:
                return what
            assert found != "lost", f"lost while waiting for {kind}: {what}"


Start = Callable[..., tuple[Worker, Ear]]


@contextmanager
def _starting(in_process: bool) -> Iterator[Start]:
    started: list[Worker] = []

    def begin(*ids: str) -> tuple[Worker, Ear]:
        ear = Ear()
        started.append(Worker(ear, plugins=PLUGINS, in_process=in_process))
        stages = [{"node_id": id, "pipeline_id": id, "options": {}} for id in ids]
        started[-1].say({"op": "load", "stages": stages})
        ear.wait("loaded")
        return started[-1], ear

    yield begin
    for one in started:
        one.close()


@pytest.fixture(params=[False, True], ids=["process", "thread"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    with _starting(request.param) as begin:
        yield begin


@pytest.fixture
def process() -> Iterator[Start]:
    """For what cannot be done to a thread: stop it, kill it."""
    with _starting(False) as begin:
        yield begin


@pytest.fixture
def thread() -> Iterator[Start]:
    """For what must be prepared inside."""
    with _starting(True) as begin:
        yield begin


def _open(one: Worker, **values: Any) -> None:
    one.say({"op": "open", "mode": None, "values": values})


def test_frames_go_in_and_come_out(start: Start) -> None:
    one, ear = start("passthrough")
    _open(one)
    ear.wait("opened")
    assert one.put_frame(numbered(5, 9))
    assert code(ear.wait("frame")) == (5, 9)


def test_a_chunk_that_hangs_is_noticed_although_the_heart_beats(process: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CHUNK_LOST_S", 0.8)
    one, ear = process("faulty-well")
    _open(one)
    for _ in range(5):
        ear.wait("frame")
    until(lambda: one.watch._chunks, lambda chunks: chunks >= 3)
    one.say({"op": "turn", "values": {"faulty-well": {"act": "hang"}}})
    assert "no longer answers" in _lost(ear)


def _lost(ear: Ear) -> str:
    while True:
        kind, what = ear.heard.get(timeout=PATIENCE_S)
        if kind == "lost":
            return str(what)


def test_a_killed_worker_is_lost_at_once_and_only_once(process: Start) -> None:
    one, ear = process("faulty-well")
    assert one.pid is not None and one.rss_mb()
    os.kill(one.pid, signal.SIGKILL)
    assert "ended" in _lost(ear)
    one.close()
    one.close()
    assert one.rss_mb() is None and not one.put_frame(numbered(1))
    assert ear.heard.empty()


def test_a_killed_worker_leaves_no_shared_memory(process: Start) -> None:
    """Killed between making a ring and the first look of the server at it."""
    one, ear = process("faulty-well")
    assert one.pid is not None
    left = shared._path(f"scope-{one.pid}-0123456789ab")
    left.touch()
    os.kill(one.pid, signal.SIGKILL)
    _lost(ear)
    assert not left.exists()


def test_closing_a_worker_that_dies_at_the_same_moment(process: Start) -> None:
    one, ear = process("faulty-well")
    assert one.pid is not None
    closers = [threading.Thread(target=one.close) for _ in range(2)]
    os.kill(one.pid, signal.SIGKILL)
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(PATIENCE_S)
    assert not any(closer.is_alive() for closer in closers)


def test_a_worker_that_does_not_want_to_end_is_ended(process: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOP_S", 0.3)
    one, ear = process("faulty-well")
    _open(one, **{"faulty-well": {"act": "hang"}})
    ear.wait("opened")
    one.close()
    assert one.rss_mb() is None


SERVER = """
import sys, time
from tests.runtime.test_worker import Ear
from scope.runtime.worker import Worker
if __name__ == "__main__":
    ear = Ear()
    worker = Worker(ear, plugins=("tests.faulty",))
    worker.say({"op": "load", "stages": [{"node_id": "n", "pipeline_id": "faulty-well", "options": {}}]})
    ear.wait("loaded")
    worker.say({"op": "open", "mode": None, "values": {"n": {"act": "hang"}}})
    ear.wait("opened")
    print(worker.pid, flush=True)
    time.sleep(60)
"""


def test_a_worker_does_not_outlive_its_server_even_when_it_hangs(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}
    ) as server:
        assert server.stdout is not None
        orphan = psutil.Process(int(server.stdout.readline()))
        server.kill()
    try:
        until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, bool)
    finally:
        with contextlib.suppress(psutil.Error):
            orphan.kill()


def test_sizes_that_change_faster_than_the_worker_reads_cost_frames_not_the_worker(process: Start) -> None:
    """A browser that ramps up its resolution while the worker is busy: rings are replaced before anyone saw them."""
    one, ear = process("passthrough")
    _open(one)
    ear.wait("opened")
    assert one.pid is not None
    os.kill(one.pid, signal.SIGSTOP)
    for size in range(16, 16 + 64 * 8, 64):
        assert one.put_frame(numbered(1, size=size))
    os.kill(one.pid, signal.SIGCONT)
    until(lambda: one.put_frame(numbered(6, 1, size=600)), bool)
    while code(ear.wait("frame")) != (6, 1):
        pass


def test_without_shared_memory_input_is_refused_in_words(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = start("passthrough")

    def full(size_bytes: int) -> Any:
        raise Unavailable("no shared memory left")

    monkeypatch.setattr(shared, "create", full)
    with pytest.raises(Unavailable, match="shared memory"):
        one.put_frame(numbered(1))


def test_without_shared_memory_for_the_output_the_stream_fails_in_words(thread: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    one, ear = thread("faulty-well")

    def full(size_bytes: int) -> Any:
        raise Unavailable("no shared memory left")

    monkeypatch.setattr(shared, "create", full)
    _open(one)
    assert "no shared memory" in ear.wait("failed")["text"]


def test_more_input_than_the_worker_takes_is_refused(process: Start) -> None:
    one, _ = process("faulty-well")
    assert one.pid is not None
    os.kill(one.pid, signal.SIGSTOP)
    taken = [one.put_frame(numbered(i)) for i in range(SLOTS + 4)]
    os.kill(one.pid, signal.SIGCONT)
    assert taken == [True] * SLOTS + [False] * 4


def test_a_pipeline_that_cannot_be_opened_again_is_a_failure_in_words(start: Start) -> None:
    one, ear = start("faulty-once")
    _open(one)
    ear.wait("frame")
    _open(one)
    assert "cannot be opened again" in ear.wait("failed")["text"]


def test_a_stream_that_cannot_be_opened_after_a_stumble_is_a_failure_in_words(start: Start) -> None:
    one, ear = start("faulty-once")
    _open(one)
    ear.wait("frame")
    one.say({"op": "turn", "values": {"faulty-once": {"act": "raise"}}})
    assert "asked to fail" in ear.wait("stumbled")["text"]
    assert "cannot be opened again" in ear.wait("failed")["text"]
