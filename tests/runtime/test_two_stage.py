"""The chunk loop over a stream whose steps have two halves: faster, and as attentive and as robust as over any other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
import pytest

from scope import catalog
from scope.contract import Message, Options
from scope.frame import Frame
from scope.pipelines import gray
from scope.runtime.chain import ChainStream, Link
from scope.runtime.params import Ticket
from scope.runtime.run import Run
from tests import faulty
from tests.runtime.live_client import PATIENCE_S, PLUGINS, code

SPEC = catalog.load(*PLUGINS).specs["faulty-halved"]


class Wall:
    """Where a run's pictures and words arrive."""

    def __init__(self, *behind: Link) -> None:
        self.shown: list[tuple[float, tuple[int, int] | None, tuple[int, ...]]] = []
        self.said: list[Message] = []
        self._news = threading.Condition()
        link = Link("main", SPEC, faulty.halved(Options(), lambda text: None))
        self.run = Run([link, *behind], None, {}, self._hear, self._see)

    def _see(self, frame: Frame, tickets: Sequence[Ticket]) -> None:
        with self._news:
            self.shown.append((monotonic(), code(frame), tuple(ticket.seq for ticket in tickets)))
            self._news.notify_all()

    def _hear(self, message: Message) -> None:
        with self._news:
            self.said.append(message)
            self._news.notify_all()

    def until(self, found: Callable[[], Any]) -> Any:
        with self._news:
            assert self._news.wait_for(found, PATIENCE_S), (self.shown[-5:], self.said)
            return found()

    def turn(self, seq: int, **values: Any) -> None:
        self.run.turn({"main": values}, ("client", seq))

    def answered(self, seq: int) -> bool:
        return any(seq in tickets for _, _, tickets in self.shown)

    def heard(self, op: str) -> list[Message]:
        return [message for message in self.said if message["op"] == op]


@pytest.fixture
def wall() -> Iterator[Wall]:
    made = Wall()
    yield made
    made.run.stop()


def test_the_halves_run_beside_each_other_and_nothing_is_lost(wall: Wall) -> None:
    wall.until(lambda: wall.run.chunks >= 3)
    begun_s, before = monotonic(), wall.run.chunks
    wall.until(lambda: wall.run.chunks >= before + 10)
    assert (monotonic() - begun_s) / 10 < 0.17, "one after the other it would be 0.2 s"
    numbers = [seen[0] for _, seen, _ in wall.shown if seen is not None]
    assert numbers == list(range(len(wall.shown))) and wall.run.stats()["chunk_ms"] == pytest.approx(100, abs=40)


def test_a_change_is_answered_by_the_first_frame_made_for_it(wall: Wall) -> None:
    wall.until(lambda: wall.run.chunks >= 2)
    for seq in range(1, 6):
        wall.turn(seq, level=seq / 5)
        wall.until(partial(wall.answered, seq))
    levels = {seq: seen[1] for _, seen, tickets in wall.shown for seq in tickets if seen is not None}
    assert levels == {seq: round(seq / 5 * 255) for seq in range(1, 6)}


def test_a_new_shot_begins_with_its_own_pictures(wall: Wall) -> None:
    wall.until(lambda: wall.run.chunks >= 2)
    wall.run.turn({"session": {"reset_cache": True}}, ("client", 9))
    wall.until(lambda: wall.answered(9))
    wall.until(lambda: wall.shown[-1][2] == ())
    after = next(i for i, (_, _, tickets) in enumerate(wall.shown) if 9 in tickets)
    assert wall.shown[after][1] == (0, 0), "the count begins again"


@pytest.mark.parametrize("act", ["raise", "late"])
def test_a_half_that_fails_is_said_once_and_what_was_asked_is_not_forgotten(wall: Wall, act: str) -> None:
    wall.until(lambda: wall.run.chunks >= 2)
    wall.turn(7, act=act, level=0.4)
    wall.until(lambda: wall.answered(7) and wall.heard("stumbled"))
    assert len(wall.heard("stumbled")) in (1, 2) and not wall.heard("failed"), "the cue is tried twice, then dropped"
    assert [message["text"] for message in wall.heard("stumbled")][0] == "Faulty halved (main): ValueError: asked to fail"
    assert next(seen for _, seen, tickets in wall.shown if 7 in tickets) is not None
    shown = len(wall.shown)
    wall.until(lambda: len(wall.shown) > shown + 6)


def test_it_is_busy_while_either_half_is(wall: Wall) -> None:
    wall.until(lambda: wall.run.chunks >= 3)
    ages = []
    for _ in range(40):
        since_s = wall.run.busy_since_s
        ages.append(0.0 if since_s is None else monotonic() - since_s)
        threading.Event().wait(0.005)
    assert 0.05 < max(ages) < 1.0


def test_what_comes_behind_works_on_the_second_half() -> None:
    wall = Wall(Link("grey", gray.SPEC, gray.Gray()))
    try:
        wall.until(lambda: wall.run.chunks >= 3)
        assert all(seen is not None for _, seen, _ in wall.shown)
    finally:
        wall.run.stop()


def test_a_chain_is_begun_up_to_the_first_half_and_finished_later() -> None:
    main = Link("main", SPEC, faulty.halved(Options(), lambda text: None))
    chain = ChainStream([main, Link("grey", gray.SPEC, gray.Gray())], "text")
    params = {"main": SPEC.params.model_validate({"level": 1.0}), "grey": gray.SPEC.params()}
    first, second = chain.begin(params, ()), chain.begin(params, ())
    frames = [*first(), *second()]
    assert [code(frame) for frame in frames] == [(i, 255) for i in range(6)]
    assert all(np.ptp(frame.rgb(), 2).max() <= 1 for frame in frames)
    assert chain.two_stage and not ChainStream([Link("grey", gray.SPEC, gray.Gray())], "video").two_stage
