"""Frames in shared memory: pixels are written once, and only a slot number crosses the pipe.

One side writes, the other reads. A slot is free (0) or handed over (1); only the writer turns 0 into 1 and only the reader
turns 1 into 0, so the two never race. The reader gives a slot back when the last view of its pixels is gone. A writer that
finds no free slot drops the frame and counts it. When a picture outgrows the slots the writer opens a larger ring under a
new name, and the reader follows at the first frame that names it.
"""

from __future__ import annotations

import mmap
import weakref
from dataclasses import dataclass

import numpy as np

from scope.frame import Bytes, Frame
from scope.runtime import shared

SLOTS = 8
PAGE_BYTES = 4096  # slot states fill the first page, so that slots start aligned


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a frame lies: what crosses the pipe instead of pixels."""

    ring: str
    index: int
    width: int
    height: int
    slot_bytes: int


@dataclass(frozen=True, slots=True)
class _Ring:
    name: str
    slot_bytes: int
    memory: mmap.mmap

    def pixels(self, index: int, size: int) -> Bytes:
        return np.frombuffer(self.memory, np.uint8, size, PAGE_BYTES + index * self.slot_bytes)


class RingWriter:
    """Owns the ring of one direction and puts frames into it."""

    def __init__(self) -> None:
        self._ring: _Ring | None = None
        self._previous: _Ring | None = None  # kept until the reader has surely followed: Windows drops memory nobody holds
        self._next = 0
        self.dropped = 0

    def write(self, frame: Frame) -> Slot | None:
        """Copy the picture into a free slot; None when the reader holds them all. Raises Unavailable without memory."""
        ring = self._ring
        if ring is None or frame.i420_bytes > ring.slot_bytes:
            ring = self._grow(frame.i420_bytes)
        index = self._free_slot(ring)
        if index is None:
            self.dropped += 1
            return None
        frame.write_i420(ring.pixels(index, frame.i420_bytes))
        ring.memory[index] = 1
        return Slot(ring.name, index, frame.width, frame.height, ring.slot_bytes)

    def _free_slot(self, ring: _Ring) -> int | None:
        for step in range(SLOTS):
            index = (self._next + step) % SLOTS
            if ring.memory[index] == 0:
                self._next = index + 1
                return index
        return None

    def _grow(self, need_bytes: int) -> _Ring:
        slot_bytes = -(-need_bytes // PAGE_BYTES) * PAGE_BYTES
        name, memory = shared.create(PAGE_BYTES + SLOTS * slot_bytes)
        if self._previous is not None:
            shared.forget(self._previous.name)
        self._previous, self._ring, self._next = self._ring, _Ring(name, slot_bytes, memory), 0
        return self._ring

    def close(self) -> None:
        """Remove the names the reader never came for."""
        for ring in (self._previous, self._ring):
            if ring is not None:
                shared.forget(ring.name)
        self._previous = self._ring = None


class RingReader:
    """Sees the frames of the other side. Views stay valid for as long as someone holds them."""

    def __init__(self) -> None:
        self._ring: _Ring | None = None

    def read(self, slot: Slot, time_s: float) -> Frame:
        """The frame in `slot`, in place. Raises FileNotFoundError when the writer's memory is gone."""
        if self._ring is None or self._ring.name != slot.ring:
            memory = shared.attach(slot.ring, PAGE_BYTES + SLOTS * slot.slot_bytes)
            self._ring = _Ring(slot.ring, slot.slot_bytes, memory)
        pixels = self._ring.pixels(slot.index, slot.width * slot.height * 3 // 2)
        weakref.finalize(pixels, _give_back, self._ring.memory, slot.index).atexit = False
        return Frame.from_i420(pixels.reshape(slot.height * 3 // 2, slot.width), time_s)


def _give_back(memory: mmap.mmap, index: int) -> None:
    memory[index] = 0
