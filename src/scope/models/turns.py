"""Whose slot is next: one short queue of slot numbers per row, kept on the device and changed without reading it.

Shape suffixes: B rows, Q places in the queue.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Turns:
    """Slot numbers count from 1; places behind `length` hold 0. Slots up to `sink` leave once taken, others go to the end."""

    def __init__(self, rows: int, sink: int, initial: tuple[int, ...], places: int, device: torch.device) -> None:
        self.sink, self.initial = sink, initial
        self.queue_BQ = torch.zeros(rows, places, dtype=torch.long, device=device)
        self.length = torch.zeros(rows, dtype=torch.long, device=device)
        self.current = torch.zeros(rows, dtype=torch.long, device=device)  # slot of the chunk in progress
        self.clear()

    def tensors(self) -> tuple[Tensor, ...]:
        return self.queue_BQ, self.length, self.current

    def rows(self, count: int) -> Turns:
        """The first rows, sharing memory."""
        part = object.__new__(Turns)
        part.sink, part.initial = self.sink, self.initial
        part.queue_BQ, part.length, part.current = (t[:count] for t in self.tensors())
        return part

    def clear(self) -> None:
        for tensor in self.tensors():
            tensor.zero_()
        count = len(self.initial)
        self.queue_BQ[:, :count] = torch.tensor(self.initial, dtype=torch.long, device=self.queue_BQ.device)
        self.length.fill_(count)

    def first(self) -> Tensor:
        return self.queue_BQ[:, 0].clone()

    def push_front(self, slot_B: Tensor, wanted_B: Tensor) -> None:
        """A full queue takes no more: its last entry would be lost otherwise."""
        wanted_B = wanted_B & (self.length < self.queue_BQ.shape[1])
        moved = torch.cat([slot_B[:, None], self.queue_BQ[:, :-1]], 1)
        self._put(moved, wanted_B, 1)

    def append(self, slot_B: Tensor, wanted_B: Tensor) -> None:
        """At the end, unless the last entry is this slot already."""
        places = torch.arange(self.queue_BQ.shape[1], device=self.length.device)
        last = (self.queue_BQ * (places == self.length[:, None] - 1)).sum(1)
        wanted_B = wanted_B & (last != slot_B) & (self.length < len(places))
        self._put(torch.where(places == self.length[:, None], slot_B[:, None], self.queue_BQ), wanted_B, 1)

    def take(self, wanted_B: Tensor) -> Tensor:
        """The first slot of every row; rows in `wanted_B` move on."""
        slot_B = self.first()
        moved = torch.cat([self.queue_BQ[:, 1:], torch.zeros_like(self.queue_BQ[:, :1])], 1)
        self._put(moved, wanted_B, -1)
        self.append(slot_B, wanted_B & (slot_B > self.sink))
        return slot_B

    def _put(self, queue_BQ: Tensor, wanted_B: Tensor, longer: int) -> None:
        self.queue_BQ.copy_(torch.where(wanted_B[:, None], queue_BQ, self.queue_BQ))
        self.length.add_(wanted_B.long() * longer)
