"""The output clock: receipts leave with the first frame that carries the change, whatever happens to frames."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from scope.frame import Frame
from scope.runtime.effects import EffectParams
from scope.runtime.output import CAPACITY, OutputClock
from scope.runtime.pacing import EvenPace
from scope.runtime.params import EFFECTS, Mailbox, Ticket

Left = tuple[Frame, tuple[int, ...]]


class Bench:
    """A clock whose frames come out here, with the numbers of their receipts."""

    def __init__(self) -> None:
        self.out: queue.Queue[Left] = queue.Queue()
        self.fast = Mailbox({EFFECTS: EffectParams})
        self.clock = OutputClock(EvenPace(), self.fast, self._emit)

    def _emit(self, frame: Frame, tickets: Sequence[Ticket]) -> None:
        self.out.put((frame, tuple(ticket.seq for ticket in tickets)))

    def next(self) -> Left:
        return self.out.get(timeout=20.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.clock.stop()


def _frames(count: int, first: int = 0) -> list[Frame]:
    return [Frame.from_i420(np.full((6, 4), 100, np.uint8), float(first + i)) for i in range(count)]


def _ticket(seq: int) -> tuple[Ticket, ...]:
    return (Ticket("s", seq, ("a",)),)


def test_receipts_leave_with_the_first_frame_of_their_chunk(bench: Bench) -> None:
    bench.clock.put(_frames(3), _ticket(1), 0.05)
    assert [bench.next()[1] for _ in range(3)] == [(1,), (), ()]
    assert bench.clock.sent == 3


def test_frames_are_numbered_in_the_order_in_which_they_leave(bench: Bench) -> None:
    bench.clock.put(_frames(4), (), 0.05)
    left = [bench.next()[0] for _ in range(4)]
    assert [(frame.index, frame.time_s) for frame in left] == [(i, float(i)) for i in range(4)]


def test_the_receipt_of_a_chunk_without_frames_waits_for_the_next_frame(bench: Bench) -> None:
    bench.clock.put([], _ticket(1), 0.05)
    bench.clock.put([], _ticket(2), 0.05)
    bench.clock.put(_frames(1), _ticket(3), 0.05)
    assert bench.next()[1] == (1, 2, 3)


def test_a_flush_forgets_frames_and_keeps_receipts(bench: Bench) -> None:
    bench.clock.hold(True)
    bench.clock.put(_frames(5), _ticket(1), 0.05)
    bench.clock.flush()
    bench.clock.put(_frames(1), _ticket(2), 0.05)
    bench.clock.hold(False)
    assert bench.next()[1] == (1, 2) and bench.clock.backlog() == 0


def test_too_many_frames_lose_the_oldest_counted_and_no_receipt(bench: Bench) -> None:
    bench.clock.hold(True)
    bench.clock.put(_frames(3), _ticket(1), 0.01)
    bench.clock.put(_frames(CAPACITY), _ticket(2), 0.01)
    assert bench.clock.dropped == 3 and bench.clock.backlog() == CAPACITY
    bench.clock.hold(False)
    frame, seqs = bench.next()
    assert (frame.time_s, seqs) == (0.0, (1, 2))


def test_a_held_clock_sends_nothing_new_and_still_answers_to_a_fast_knob(bench: Bench) -> None:
    bench.clock.put(_frames(1), (), 0.05)
    first, _ = bench.next()
    bench.clock.hold(True)
    bench.clock.put(_frames(2, first=10), (), 0.05)
    bench.fast.put({EFFECTS: {"brightness": 1.0}}, _ticket(7)[0])
    bench.clock.turned()
    again, seqs = bench.next()
    assert again.time_s == first.time_s and again.index == 1 and seqs == (7,)
    assert again.planes()[0][0, 0] > first.planes()[0][0, 0]
    bench.clock.hold(False)
    later, _ = bench.next()
    assert (later.index, later.time_s) == (2, 10.0)


def test_a_fast_knob_before_the_first_frame_waits_for_it(bench: Bench) -> None:
    bench.fast.put({EFFECTS: {"brightness": 1.0}}, _ticket(7)[0])
    bench.clock.turned()
    bench.clock.put(_frames(1), (), 0.05)
    assert bench.next()[1] == (7,)
