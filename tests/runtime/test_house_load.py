"""Loading with real workers: states in order, errors in words, everything given back."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scope.contract import Join
from scope.errors import NotFound, Unavailable
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from tests.runtime.live_client import Client, join, load, open_house, until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path) as opened:
        yield opened


def _begin(house: House, id: str) -> None:
    house.load([StageRequest(id, id)])


def _is_worker(child: psutil.Process) -> bool:
    """multiprocessing's own resource tracker is not one, and a child that has just ended is none any more."""
    try:
        return "resource_tracker" not in " ".join(child.cmdline())
    except psutil.Error:
        return False


def _workers() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True) if _is_worker(child)]


def _state(house: House) -> str:
    return str(house.status()["status"])


def test_a_load_passes_through_loading_to_loaded_and_says_where_it_is(house: House) -> None:
    assert _state(house) == "not_loaded"
    _begin(house, "faulty-slow")
    assert _state(house) == "loading"
    until(lambda: house.status()["loading_stage"], lambda stage: stage == "Loading slowly...")
    until(lambda: _state(house), lambda state: state == "loaded")
    assert house.status()["pipeline_id"] == "faulty-slow" and house.status()["loading_stage"] is None


def test_an_unknown_pipeline_is_an_error_that_stays(house: House) -> None:
    with pytest.raises(NotFound, match="nope"):
        _begin(house, "nope")
    assert [house.status()["error"] for _ in range(2)] == [house.status()["error"]] * 2 and _state(house) == "error"
    load(house, "faulty-well")
    assert house.status()["error"] is None


def test_nobody_can_join_what_is_not_loaded(house: House) -> None:
    with pytest.raises(Unavailable, match="not loaded"):
        house.join(Client(), Join())


def test_status_is_never_loaded_with_the_chain_before(house: House) -> None:
    """Contract, appendix B 3, and while the old worker may still have something to say."""
    load(house, "faulty-well")
    for id in ("faulty-slow", "faulty-well", "faulty-slow"):
        _begin(house, id)
        assert _state(house) == "loading"
    until(lambda: _state(house), lambda state: state == "loaded")
    assert house.status()["pipeline_id"] == "faulty-slow"


def test_of_two_loads_in_flight_the_last_one_wins(house: House) -> None:
    _begin(house, "faulty-slow")
    until(lambda: house.status()["loading_stage"], lambda stage: stage == "Loading slowly...")
    _begin(house, "faulty-well")
    seen = set[tuple[str, str]]()

    def look() -> str:
        said = house.status()
        seen.add((said["status"], said["pipeline_id"]))
        return str(said["status"])

    until(look, lambda state: state == "loaded")
    session, _, screen = join(house)
    screen.frame()
    assert seen <= {("loading", "faulty-well"), ("loaded", "faulty-well")} and len(_workers()) == 1
    session.leave()


def test_the_same_chain_again_is_kept(house: House) -> None:
    load(house, "faulty-well")
    before = _workers()
    _begin(house, "faulty-well")
    assert _state(house) == "loaded" and _workers() == before


def test_a_failed_load_says_why_and_the_next_one_works(house: House) -> None:
    _begin(house, "faulty-unloadable")
    until(lambda: _state(house), lambda state: state == "error")
    for _ in range(2):
        assert "weights.safetensors is not there" in house.status()["error"]
    until(_workers, lambda pids: not pids)
    load(house, "faulty-well")
    session, _, screen = join(house)
    screen.frame()
    session.leave()


def test_a_worker_that_dies_while_loading_is_an_error_not_a_loop(house: House) -> None:
    _begin(house, "faulty-slow")
    (pid,) = until(_workers, lambda pids: len(pids) == 1)
    until(lambda: house.status()["loading_stage"], lambda stage: stage == "Loading slowly...")
    os.kill(pid, 9)
    until(lambda: _state(house), lambda state: state == "error")
    assert house.status()["error"]
    load(house, "faulty-well")


def test_loading_another_chain_keeps_the_sessions_and_their_values(house: House) -> None:
    load(house, "faulty-well")
    session, client, screen = join(house, parameters={"level": 0.5})
    screen.see_level(128)
    load(house, "faulty-bursty")
    screen.drain()
    screen.see_level(128)
    assert not client.dismissed
    session.leave()


def test_unload_dismisses_everyone_and_gives_the_process_back(house: House) -> None:
    load(house, "faulty-well")
    _, client, screen = join(house)
    screen.frame()
    house.unload()
    assert "unloaded" in client.be_dismissed()
    until(_workers, lambda pids: not pids)
    assert _state(house) == "not_loaded" and house.values() == {}
    with pytest.raises(Unavailable):
        house.join(Client(), Join())


def _descriptors() -> int:
    return psutil.Process().num_fds()


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="looks into Linux's folders")
@pytest.mark.parametrize("in_process", [False, True])
def test_nothing_is_left_after_close(tmp_path: Path, in_process: bool) -> None:
    def once() -> None:
        with open_house(tmp_path, in_process=in_process) as house:
            load(house, "test-pattern", width=64, height=64)
            session, _, screen = join(house)
            screen.frame()
            session.leave()
            screen.close()

    once()  # starts multiprocessing's resource tracker, which stays
    gc.collect()
    memory, threads, descriptors = set(Path("/dev/shm").iterdir()), threading.active_count(), _descriptors()
    for _ in range(2):
        once()
    assert not _workers()
    until(threading.active_count, lambda count: count <= threads, 5.0)
    assert _descriptors() <= descriptors
    assert {path.name for path in set(Path("/dev/shm").iterdir()) - memory if path.name.startswith("scope-")} == set()


def test_closing_in_the_middle_of_a_load_does_not_wait_for_it(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        _begin(house, "faulty-slow")
        until(lambda: house.status()["loading_stage"], lambda stage: stage == "Loading slowly...")
    assert not _workers()
