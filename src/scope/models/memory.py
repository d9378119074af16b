"""The tensors behind `cache.py`: one stream's keys and values for every layer, and what a query sees of them.

Frames stay where they were written and slots are reused, because softmax does not care about the order of rotated keys; nothing
is shifted. After the window is full a pass allocates no cache tensor. Shape suffixes: B batch, W slots, F frames, L tokens per
frame, T tokens of the call (F*L), S keys, N heads, D head channels, P channel pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from scope.models.bank import Bank
from scope.models.cache import CachePolicy, Call, Place, TextMemory, frame_bias, place
from scope.models.device import to_device
from scope.models.rope import Grid, rotate


class Seen(NamedTuple):
    """What one layer's attention works on: rotated queries, the keys and values in sight, an additive mask or None."""

    q_BTND: Tensor
    k_BSND: Tensor
    v_BSND: Tensor
    mask: Tensor | None = None


class View(Protocol):
    """One forward pass's window on a memory. `look` stores the layer's new (normed, unrotated) keys and says what q sees."""

    def look(self, layer: int, q_BTND: Tensor, k_BTND: Tensor, v_BTND: Tensor) -> Seen: ...


@dataclass(frozen=True, slots=True)
class Room:
    """Everything a memory's tensors need to know of the network and the picture."""

    layers: int
    heads: int
    grid: Grid
    batch: int = 1
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def empty(self, frames: int, extra: int = 0) -> list[Tensor]:
        """One zeroed [B, frames*L + extra, N, D] per layer."""
        shape = (self.batch, frames * self.grid.frame_tokens + extra, self.heads, self.grid.head_dim)
        return [torch.zeros(shape, dtype=self.dtype, device=self.device) for _ in range(self.layers)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a stream's memory; `restore` continues from it bit for bit."""

    tensors: tuple[Tensor, ...]
    order: tuple[int, ...]
    end: int
    recorded: int


@dataclass(slots=True)
class Desk:
    """Small tensors a pass reads, at fixed addresses: rewritten when a chunk begins, so a captured graph can be replayed."""

    place: tuple[int, tuple[int, ...], float]  # what the tensors were made for: first position, slots, bias
    turns: Tensor  # [T, P] complex64
    targets: Tensor  # [frames stored] int64
    mask: Tensor | None  # [1, 1, 1, S]

    def take(self, other: Desk) -> None:
        self.place = other.place
        for mine, theirs in ((self.turns, other.turns), (self.targets, other.targets), (self.mask, other.mask)):
            if mine is not None and theirs is not None:
                mine.copy_(theirs)


class Memory:
    """A rolling memory for one stream. Open it with a policy and a room; pass it to the network through `begin`."""

    def __init__(self, policy: CachePolicy, room: Room) -> None:
        self.policy, self.room = policy, room
        bank_frames = policy.bank.size if policy.bank else 0
        self.frames = policy.window + bank_frames
        tail = -policy.window * room.grid.frame_tokens % policy.zero_keys_to
        self.k, self.v = room.empty(self.frames, tail), room.empty(self.frames, tail)
        self.raw = room.empty(policy.window) if policy.positions == "relative" else []
        self.bank = Bank(policy.bank, policy.chunk, policy.window, room.empty(1), room.empty(1)) if policy.bank else None
        self.order: tuple[int, ...] = ()
        self.end = 0
        self._desks: dict[tuple[int, int, int, bool], Desk] = {}

    def reset(self, *, keep_bank: bool = False) -> None:
        """Forget everything, in place. Scope's automatic resets keep MemFlow's bank (models-stream.md 2.2)."""
        self.order, self.end = (), 0
        kept = self.policy.window * self.room.grid.frame_tokens
        for tensor in (*self.k, *self.v, *self.raw):
            tensor[:, :kept].zero_()
        if self.bank and not keep_bank:
            self.bank.clear(self.k, self.v)

    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor that outlives a pass."""
        return (*self.k, *self.v, *self.raw, *(self.bank.tensors() if self.bank else ()))

    def snapshot(self) -> Snapshot:
        recorded = self.bank.recorded if self.bank else 0
        return Snapshot(tuple(t.clone() for t in self.tensors()), self.order, self.end, recorded)

    def restore(self, saved: Snapshot) -> None:
        """Go back to a snapshot taken from a memory of the same policy and room."""
        for mine, theirs in zip(self.tensors(), saved.tensors, strict=True):
            mine.copy_(theirs)
        self.order, self.end = saved.order, saved.end
        if self.bank:
            self.bank.recorded = saved.recorded

    def begin(self, call: Call, text: TextMemory | None = None) -> Pass:
        """Make room for a call and return its view; all host-side decisions of the pass are taken here.

        `text`: the prompt's keys, by which a bank is searched; without them all its frames count as equally good.
        Raises BadInput if the frames do not fit.
        """
        spot = place(self.policy, self.order, self.end, call)
        if spot.evicted and self.policy.positions == "relative":
            self._shift(spot)
        slots = sorted(spot.order)
        if self.bank:
            if call.kind in ("first", "recache"):
                self.bank.fold(self.k, self.v, text)
            slots += range(self.policy.window, self.policy.window + self.bank.visible(call))
        desk = self._desk(spot, call, slots)
        if not self.policy.deferred or call.kind in ("clean", "recache"):
            self.order, self.end = spot.order, spot.end
        record = self.bank if self.bank and self.bank.due(call) else None
        return Pass(self, spot, desk, slots, record)

    def _shift(self, spot: Place) -> None:
        """Relative positions: what stays moves towards 0; leaving frames are blended into the sink first (models-stream.md 7)."""
        if self.policy.on_evict == "blend" and self.policy.sink:
            for tensor in (*self.raw, *self.v):
                self._blend(self._slots(tensor), spot.evicted)
        positions = torch.zeros(self.policy.window, dtype=torch.float64)
        positions[list(spot.order)] = torch.arange(len(spot.order), dtype=torch.float64)
        turns = self.room.grid.turns(to_device(positions, self.room.device))
        for read, raw in zip(self.k, self.raw, strict=True):
            read[:, : raw.shape[1]].copy_(rotate(raw, turns))

    def _blend(self, slots: Tensor, evicted: tuple[int, ...]) -> None:
        """Slot-wise moving average when as many frames leave as the sink holds; otherwise they replace the sink's first."""
        sink = self.policy.sink
        whole = len(evicted) == sink
        for target, leaving in zip(self.order[:sink], evicted, strict=False):
            if whole:
                slots[:, target].mul_(self.policy.blend).add_(slots[:, leaving], alpha=1 - self.policy.blend)
            else:
                slots[:, target].copy_(slots[:, leaving])

    def _slots(self, tensor: Tensor) -> Tensor:
        """[B, W, L, N, D], a view."""
        tokens = self.room.grid.frame_tokens
        return torch.unflatten(tensor[:, : tensor.shape[1] // tokens * tokens], 1, (-1, tokens))

    def _desk(self, spot: Place, call: Call, slots: list[int]) -> Desk:
        first = spot.first_position if self.policy.positions == "relative" else call.start
        at = (first, spot.order, call.bias)
        key = (call.frames, len(slots), spot.skip, call.bias != 1.0)
        old = self._desks.get(key)
        if old is not None and old.place == at:
            return old
        frames = torch.arange(first, first + call.frames, dtype=torch.float64, device=self.room.device)
        targets = to_device(torch.tensor(spot.targets, dtype=torch.long), self.room.device)
        fresh = Desk(at, self.room.grid.turns(frames), targets, self._mask(spot, call, slots))
        if old is None:
            self._desks[key] = fresh
            return fresh
        old.take(fresh)
        return old

    def _mask(self, spot: Place, call: Call, slots: list[int]) -> Tensor | None:
        if call.bias == 1.0:
            return None
        tokens = len(slots) * self.room.grid.frame_tokens
        added = frame_bias(spot, self.policy, call.bias, slots)
        by_frame = to_device(torch.tensor(added, dtype=self.room.dtype), self.room.device)
        by_token = by_frame.repeat_interleave(self.room.grid.frame_tokens)
        return pad(by_token, (0, -tokens % self.policy.zero_keys_to)).view(1, 1, 1, -1)


class Pass:
    """The view of one forward pass on a `Memory`."""

    def __init__(self, memory: Memory, spot: Place, desk: Desk, slots: list[int], record: Bank | None) -> None:
        self._memory, self._spot, self._desk, self._record = memory, spot, desk, record
        self._shown = len(slots)
        packed = slots == list(range(self._shown))
        self._gather = None if packed else to_device(torch.tensor(slots), memory.room.device)
        self._full = len(spot.order) == memory.policy.window

    def look(self, layer: int, q_BTND: Tensor, k_BTND: Tensor, v_BTND: Tensor) -> Seen:
        memory, turns = self._memory, self._desk.turns
        k_rotated = rotate(k_BTND, turns)
        self._write(memory.k[layer], k_rotated)
        self._write(memory.v[layer], v_BTND)
        if memory.raw:
            self._write(memory.raw[layer], k_BTND)
        if self._record:
            self._record.record(layer, k_rotated, v_BTND)
        return Seen(rotate(q_BTND, turns), self._read(memory.k[layer]), self._read(memory.v[layer]), self._desk.mask)

    def _write(self, buffer: Tensor, new_BTND: Tensor) -> None:
        tokens = self._memory.room.grid.frame_tokens
        new = torch.unflatten(new_BTND, 1, (-1, tokens))[:, self._spot.skip :]
        self._memory._slots(buffer).index_copy_(1, self._desk.targets, new)

    def _read(self, buffer: Tensor) -> Tensor:
        tokens = self._shown * self._memory.room.grid.frame_tokens
        keys = tokens if self._desk.mask is None else self._desk.mask.shape[-1]
        if self._gather is not None:
            found = self._memory._slots(buffer).index_select(1, self._gather).flatten(1, 2)
        elif self._full:
            return buffer[:, :keys]
        else:
            found = buffer[:, :tokens]
        return pad(found, (0, 0, 0, 0, 0, keys - tokens)) if keys > tokens else found
