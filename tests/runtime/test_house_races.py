"""What a house does when things happen at the same moment: played with a worker that is only a puppet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scope import catalog
from scope.contract import Join, Message
from scope.errors import Unavailable
from scope.frame import Frame
from scope.runtime import house as house_module
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from tests.runtime.live_client import PATIENCE_S, Client, numbered, settings, until


class Puppet:
    """Stands where a worker stands; says what the test says."""

    made: list[Puppet] = []
    refuses = False

    def __init__(self, listener: House, **how: Any) -> None:
        if Puppet.refuses:
            raise OSError("cannot allocate memory")
        self._house = listener
        self.told: list[Message] = []
        self.ended = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.frames: list[Frame] = []
        self.full = False
        Puppet.made.append(self)

    def say(self, message: Message) -> None:
        self.told.append(message)

    def close(self) -> None:
        assert self.may_end.wait(PATIENCE_S)
        self.ended.set()

    def put_frame(self, frame: Frame) -> bool:
        if self.full:
            raise Unavailable("no shared memory left")
        self.frames.append(frame)
        return True

    def rss_mb(self) -> float:
        return 1 << 20

    def says(self, op: str, **more: Any) -> None:
        self._house.on_message(self, {"op": op, **more})  # type: ignore[arg-type]

    def shows(self, frame: Frame) -> None:
        self._house.on_frame(self, frame)  # type: ignore[arg-type]

    def dies(self) -> None:
        self._house.on_lost(self, "ended unexpectedly")  # type: ignore[arg-type]

    def ops(self) -> list[str]:
        return [message["op"] for message in self.told]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(house_module, "Worker", Puppet)
    monkeypatch.setattr(Puppet, "made", [])
    monkeypatch.setattr(Puppet, "refuses", False)
    opened = House(settings(tmp_path), catalog.load())
    yield opened
    for puppet in Puppet.made:
        puppet.may_end.set()
    opened.close()


def _begin(house: House, id: str = "test-pattern") -> None:
    house.load([StageRequest("main", id)])


def _puppet(number: int) -> Puppet:
    until(lambda: len(Puppet.made), lambda count: count > number)
    puppet = Puppet.made[number]
    until(lambda: puppet.ops(), lambda ops: "load" in ops)
    return puppet


def _loaded(house: House, id: str = "test-pattern") -> Puppet:
    _begin(house, id)
    puppet = _puppet(len(Puppet.made) if Puppet.made else 0)
    puppet.says("loaded")
    assert house.status()["status"] == "loaded"
    return puppet


def test_what_the_old_worker_says_is_not_taken_for_the_new_one(house: House) -> None:
    _begin(house)
    old = _puppet(0)
    old.may_end.clear()
    _begin(house, "passthrough")
    old.says("loaded")
    assert house.status()["status"] == "loading"
    old.says("load_failed", text="of the old one")
    assert (house.status()["status"], house.status()["error"]) == ("loading", None)
    old.may_end.set()
    _puppet(1).says("loaded")
    assert (house.status()["status"], house.status()["pipeline_id"]) == ("loaded", "passthrough")


def test_a_worker_that_dies_while_it_is_being_unloaded_is_no_error(house: House) -> None:
    worker = _loaded(house)
    worker.may_end.clear()
    house.unload()
    worker.dies()
    worker.may_end.set()
    assert worker.ended.wait(PATIENCE_S) and house.status()["status"] == "not_loaded"


def test_a_worker_that_dies_while_another_chain_is_asked_for_is_not_restarted(house: House) -> None:
    worker = _loaded(house)
    worker.may_end.clear()
    _begin(house, "passthrough")
    worker.dies()
    worker.may_end.set()
    _puppet(1).says("loaded")
    assert house.status()["status"] == "loaded" and len(Puppet.made) == 2


def test_a_worker_that_cannot_be_started_is_an_error_and_the_next_load_works(house: House) -> None:
    Puppet.refuses = True
    _begin(house)
    until(lambda: house.status()["status"], lambda status: status == "error")
    assert "cannot allocate memory" in house.status()["error"]
    Puppet.refuses = False
    _loaded(house)


def test_a_complaint_about_hunger_after_the_chain_is_gone_harms_nobody(house: House) -> None:
    worker = _loaded(house, "passthrough")
    hear = house._hear

    def unload_in_between(message: Message) -> Any:
        after = hear(message)
        house.unload()
        return after

    house._hear = unload_in_between  # type: ignore[method-assign]  # the moment between taking note and acting
    worker.says("starved")


def test_an_evicted_controller_neither_turns_nor_feeds(house: House) -> None:
    worker = _loaded(house, "passthrough")
    first = house.join(Client(), Join(identity="a"))
    second = house.join(Client(), Join(identity="b"))
    before = len(worker.told)
    first.turn({"paused": True})
    first.put_frame(numbered(1))
    assert len(worker.told) == before and worker.frames == [] and house.values() == {}
    first.leave()
    second.put_frame(numbered(2))
    assert len(worker.frames) == 1 and "close" not in worker.ops()


def test_a_session_that_was_dismissed_does_not_turn_the_next_run(house: House) -> None:
    _loaded(house)
    old = house.join(Client(), Join())
    house.unload()
    until(lambda: house.status()["status"], lambda status: status == "not_loaded")
    worker = _loaded(house)
    house.join(Client(), Join())
    before = len(worker.told)
    old.turn({"level": 1.0})
    assert len(worker.told) == before and "level" not in house.values()


def test_the_next_to_come_does_not_see_what_the_last_one_saw(house: House) -> None:
    worker = _loaded(house)
    session = house.join(Client(), Join())
    worker.shows(numbered(1))
    assert house.current is not None
    session.leave()
    worker.shows(numbered(2))  # was on its way when the session left
    assert house.current is None


def test_input_without_memory_is_refused_in_words_and_the_session_lives(house: House) -> None:
    worker = _loaded(house, "passthrough")
    client = Client()
    session = house.join(client, Join())
    worker.full = True
    session.put_frame(numbered(1))
    assert session.input_dropped == 1 and "shared memory" in client.hear("warning")["message"]
    worker.full = False
    session.put_frame(numbered(2))
    assert session.input_dropped == 1


def test_initial_cues_reach_the_worker(house: House) -> None:
    worker = _loaded(house)
    house.join(Client(), Join(parameters={"level": 0.5, "transition": {"target_prompts": ["x"]}}))
    opened, turn = worker.told[-2:]
    assert opened["op"] == "open" and opened["values"]["main"]["level"] == 0.5
    assert turn["op"] == "turn" and "transition" in turn["values"]["main"]


def test_what_was_said_to_the_worker_is_not_changed_afterwards(house: House) -> None:
    """It is written to the pipe by another thread."""
    worker = _loaded(house)
    session = house.join(Client(), Join(parameters={"level": 0.5}))
    opened = worker.told[-1]
    session.turn({"level": 0.75, "bars": 3, "_ack": 1})
    turn = worker.told[-1]
    worker.says("applied", tickets=[{"session": session.id, "seq": 1, "keys": ["level", "bars"]}], frame=3)
    assert opened["values"]["main"] == {"level": 0.5} and turn["values"]["main"] == {"level": 0.75, "bars": 3}


def test_a_recovery_is_announced_after_trouble_and_only_then(house: House) -> None:
    worker, client = _loaded(house), Client()
    house.join(client, Join())
    worker.shows(numbered(1))
    assert not client.all("recovered")
    worker.says("stumbled", text="ValueError: x")
    worker.shows(numbered(2))
    worker.shows(numbered(3))
    assert [m["code"] for m in client.told if m["type"] in ("warning", "recovered")] == ["chunk_failed"] * 2


def test_nobody_waits_for_a_client_that_calls_back(house: House) -> None:
    """A client may ask the house something while it is being told something."""

    class Curious(Client):
        def tell(self, message: Message) -> None:
            asker = threading.Thread(target=house.status)
            asker.start()
            super().tell(message)

        def dismiss(self, reason: str) -> None:
            house.status()
            session.leave()
            super().dismiss(reason)

    worker, client = _loaded(house), Curious()
    session = house.join(client, Join())
    session.turn({"level": "x"})
    worker.says("failed", text="over")
    assert client.dismissed == ["over"]
