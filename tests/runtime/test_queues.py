"""The frame queue: order is kept, what is lost is counted, a sample ends with the newest."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scope.frame import Frame
from scope.runtime.queues import FrameQueue

PIXELS = np.zeros((3, 2), np.uint8)


def _frame(number: int) -> Frame:
    return Frame.from_i420(PIXELS, float(number))


def _numbers(frames: object) -> list[int]:
    assert isinstance(frames, list | tuple)
    return [int(frame.time_s) for frame in frames]


@given(capacity=st.integers(1, 9), steps=st.lists(st.sampled_from(["put", "take"]), max_size=60))
def test_frames_leave_in_order_and_every_lost_one_is_counted(capacity: int, steps: list[str]) -> None:
    queue, put, taken = FrameQueue(capacity), 0, []
    for step in steps:
        if step == "put":
            queue.put(_frame(put))
            put += 1
        elif (frame := queue.take(0)) is not None:
            taken.append(int(frame.time_s))
    while (frame := queue.take(0)) is not None:
        taken.append(int(frame.time_s))
    assert taken == sorted(set(taken)) and queue.dropped == put - len(taken)
    assert taken[-1:] == ([put - 1] if put else [])  # the newest is never the one that is dropped


@given(count=st.integers(1, 12), waiting=st.integers(0, 40))
def test_a_sample_is_even_and_ends_with_the_newest(count: int, waiting: int) -> None:
    queue = FrameQueue(64)
    for number in range(waiting):
        queue.put(_frame(number))
    sample = queue.sample(count, 0)
    if waiting < count:
        assert sample is None and len(queue) == waiting  # nothing is taken until there is enough
        return
    numbers = _numbers(sample)
    steps = np.diff([-1, *numbers])
    assert len(numbers) == count and numbers[-1] == waiting - 1 and len(queue) == 0
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1


def test_a_stage_that_dreams_takes_nothing() -> None:
    queue = FrameQueue(4)
    queue.put(_frame(1))
    assert queue.sample(0, 0) == () and len(queue) == 1


def test_waiting_ends_with_a_frame_or_with_the_end() -> None:
    queue, got = FrameQueue(2), list[Frame | None]()
    reader = threading.Thread(target=lambda: got.extend((queue.take(30), queue.take(30))))
    reader.start()
    queue.put(_frame(5))
    while not got and reader.is_alive() and len(queue):
        pass
    queue.close()
    reader.join(20)
    assert got[0] is not None and got[0].time_s == 5.0 and got[1] is None


def test_a_closed_queue_ignores_frames_and_keeps_none() -> None:
    queue = FrameQueue(2)
    queue.put(_frame(1))
    queue.close()
    queue.put(_frame(2))
    assert queue.closed and len(queue) == 0 and queue.take(0) is None and queue.sample(1, 30) is None
    assert queue.dropped == 0


def test_clearing_is_not_losing() -> None:
    queue = FrameQueue(2)
    queue.put(_frame(1))
    queue.clear()
    assert len(queue) == 0 and queue.dropped == 0
