"""The ring: pixels cross once, a held picture is never overwritten, nothing is left in shared memory."""

from __future__ import annotations

import gc
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.frame import Frame
from scope.runtime.ring import SLOTS, RingReader, RingWriter, Slot


def _frame(value: int, width: int = 32, height: int = 16) -> Frame:
    return Frame.from_i420(np.full((height * 3 // 2, width), value, np.uint8), float(value))


def test_a_frame_crosses_with_its_pixels() -> None:
    writer, reader = RingWriter(), RingReader()
    slot = writer.write(_frame(7))
    assert slot is not None
    frame = reader.read(slot, 7.0)
    assert frame.i420().min() == frame.i420().max() == 7 and (frame.width, frame.height) == (32, 16)
    writer.close()


def test_held_frames_are_never_overwritten_and_the_writer_counts_what_it_drops() -> None:
    writer, reader = RingWriter(), RingReader()
    held = []
    for value in range(SLOTS + 3):
        slot = writer.write(_frame(value))
        if slot is not None:
            held.append(reader.read(slot, 0.0))
    assert [int(f.i420()[0, 0]) for f in held] == list(range(SLOTS)) and writer.dropped == 3
    del held[2]
    gc.collect()
    slot = writer.write(_frame(99))
    assert slot is not None and slot.index == 2
    writer.close()


def test_a_view_kept_by_libav_keeps_the_slot() -> None:
    writer, reader = RingWriter(), RingReader()
    slot = writer.write(_frame(5, 64, 64))
    assert slot is not None
    picture = reader.read(slot, 0.0).to_av()
    for value in range(3 * SLOTS):
        again = writer.write(_frame(100 + value, 64, 64))
        assert again is not None and again.index != slot.index
        reader.read(again, 0.0)
    assert picture.to_ndarray()[0, 0] == 5
    writer.close()


@given(sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=12))
def test_sizes_may_change_at_any_time(sizes: list[tuple[int, int]]) -> None:
    writer, reader = RingWriter(), RingReader()
    for value, (half_width, half_height) in enumerate(sizes):
        slot = writer.write(_frame(value, 2 * half_width, 2 * half_height))
        assert slot is not None
        assert (reader.read(slot, 0.0).i420() == value).all()
    writer.close()


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="looks into Linux's shared memory folder")
def test_nothing_is_left_behind() -> None:
    before = set(Path("/dev/shm").iterdir())
    writer, reader = RingWriter(), RingReader()
    slot = writer.write(_frame(1))
    assert slot is not None
    frame = reader.read(slot, 0.0)
    writer.write(_frame(2, 512, 512))  # a larger ring that no one ever reads
    writer.close()
    assert frame.i420()[0, 0] == 1
    assert set(Path("/dev/shm").iterdir()) == before


def _child(connection: Connection, slot: Slot) -> None:
    connection.send(int(RingReader().read(slot, 0.0).i420()[0, 0]))


def test_it_crosses_a_process_border() -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    writer = RingWriter()
    slot = writer.write(_frame(42))
    child = context.Process(target=_child, args=(there, slot))
    child.start()
    assert here.poll(20) and here.recv() == 42
    child.join(10)
    here.close()
    there.close()
    writer.close()
