"""StreamDiffusionV2's own memory: rows at different denoising steps, slots reused in turn, a sink that can be refreshed.

One row per denoising step in stream batch, one row otherwise (models-stream.md sections 4.2 to 4.7). Which slot is next may
depend on the pictures (adaptive sink), so the turn order is a small tensor and no pass waits for the device.
Shape suffixes: B rows, Q places in the turn order, W slots, F frames, L tokens per frame, T tokens of the call (F*L), S keys,
N heads, D head channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from scope.errors import BadInput, BadParams
from scope.models.memory import Room, Seen, Snapshot
from scope.models.rope import rotate
from scope.models.turns import Turns

PLACES = 512  # in the turn order; the original queues a stale sink slot again at every call, without end


@dataclass(frozen=True, slots=True)
class RingPolicy:
    """Behaviour in latent frames. `steps` is the length of the denoising list, `chunk` the frames of a usual call.

    adapt: cosine similarity below which a sink slot is refreshed; None is off. rules, where the original can be argued with (4.2,
    4.3): "right" gives all steps of a chunk one slot, reuses every slot behind the sink and never compares with an empty one;
    "original" moves on once per `steps` calls, out of phase with the chunks.
    """

    window: int = 6
    sink: int = 3
    steps: int = 2
    chunk: int = 1
    adapt: float | None = None
    rules: Literal["right", "original"] = "right"

    def __post_init__(self) -> None:
        if not 0 <= self.sink < self.window or self.steps < 1:
            raise BadParams(f"a ring of {self.window} frames with a sink of {self.sink} and {self.steps} steps cannot work")

    @property
    def turns(self) -> tuple[int, ...]:
        """The turn order to begin with (1-based last slot of each chunk); the original builds its own as it fills."""
        return tuple(range(self.sink + self.chunk, self.window + 1, self.chunk)) if self.rules == "right" else ()


@dataclass(frozen=True, slots=True)
class RingCall:
    """One pass: the first frame of every row that takes part (rows 0..), frames per row, whether it is a chunk's first pass."""

    starts: tuple[int, ...]
    frames: int = 1
    first: bool = True


class Ring:
    """One stream's ring, for all rows. A call with fewer starts than rows uses the first rows only."""

    def __init__(self, policy: RingPolicy, room: Room) -> None:
        self.policy, self.room = policy, room
        self.k, self.v = room.empty(policy.window), room.empty(policy.window)
        self.turns = [Turns(room.batch, policy.sink, policy.turns, PLACES, room.device) for _ in range(room.layers)]
        self.end = [0] * room.batch
        self.filled = [0] * room.batch
        self.countdown = policy.steps

    def reset(self) -> None:
        """Forget everything, the turn order too (the original keeps it from one session to the next)."""
        for tensor in (*self.k, *self.v):
            tensor.zero_()
        for turns in self.turns:
            turns.clear()
        self.end, self.filled = [0] * self.room.batch, [0] * self.room.batch
        self.countdown = self.policy.steps

    def spread(self) -> None:
        """Copy row 0 to every row: after the start chunk, and when sequential running goes over into stream batch (4.5, 4.7)."""
        for tensor in (*self.k, *self.v, *(t for turns in self.turns for t in turns.tensors())):
            tensor[1:].copy_(tensor[:1].expand_as(tensor[1:]))
        self.end, self.filled = self.end[:1] * self.room.batch, self.filled[:1] * self.room.batch
        self.countdown = self.policy.steps

    def tensors(self) -> tuple[Tensor, ...]:
        return (*self.k, *self.v, *(t for turns in self.turns for t in turns.tensors()))

    def snapshot(self) -> Snapshot:
        counters = (*self.end, *self.filled)
        return Snapshot(tuple(t.clone() for t in self.tensors()), counters, self.countdown, 0)

    def restore(self, saved: Snapshot) -> None:
        for mine, theirs in zip(self.tensors(), saved.tensors, strict=True):
            mine.copy_(theirs)
        rows = self.room.batch
        self.end, self.filled, self.countdown = list(saved.order[:rows]), list(saved.order[rows:]), saved.end

    def begin(self, call: RingCall) -> RingPass:
        """Decide for every row whether it still grows, moves to its next slot, or writes where it wrote before.

        Raises BadInput for more rows than the ring has, or frames it cannot hold.
        """
        rows = len(call.starts)
        if not 0 < rows <= self.room.batch or call.frames > self.policy.window:
            raise BadInput(
                f"{rows} rows of {call.frames} frames on a ring of {self.room.batch} rows, window {self.policy.window}"
            )
        original = self.policy.rules == "original"
        ends = [start + call.frames for start in call.starts]
        full = [self._is_full(row, ends[row], call) for row in range(rows)]
        moves = self._tick(rows, any(full)) if original else call.first
        for row in range(rows):
            grown = ends[row] - self.end[row] if original else call.frames * call.first
            self.filled[row] = self.policy.window if full[row] else self.filled[row] + grown
            self.end[row] = ends[row]
        return RingPass(self, call, tuple(full), moves)

    def _is_full(self, row: int, end: int, call: RingCall) -> bool:
        window = self.policy.window
        if self.policy.rules == "original":
            return end > window or self.filled[row] >= window
        return self.filled[row] + (call.frames if call.first else 0) > window

    def _tick(self, rows: int, full: bool) -> bool:
        """The original's countdown: in sequential running a full ring moves on only every `steps` calls."""
        if full and rows == 1 and self.countdown > 1:
            self.countdown -= 1
            return False
        if full:
            self.countdown = self.policy.steps
        return True


class RingPass:
    """The view of one pass on a `Ring`."""

    def __init__(self, ring: Ring, call: RingCall, full: tuple[bool, ...], moves: bool) -> None:
        self._ring, self._call, self._moves = ring, call, moves
        device, rows = ring.room.device, len(call.starts)
        frames = torch.tensor([[s + f for f in range(call.frames)] for s in call.starts], dtype=torch.float64)
        grid = ring.room.grid
        self._phases = grid.turns(frames.flatten().to(device)).view(rows, call.frames * grid.frame_tokens, grid.pairs)
        self._full = torch.tensor(full, device=device)
        self._filled = torch.tensor(ring.filled[:rows], device=device)
        self._after = torch.tensor([e + call.frames for e in ring.end[:rows]], device=device)
        self._rows = torch.arange(rows, device=device)[:, None]
        self._offsets = torch.arange(call.frames, device=device)
        self._keys = max(ring.filled[:rows]) * grid.frame_tokens
        self._mask = self._row_mask() if len(set(ring.filled[:rows])) > 1 else None
        wants_sink = ring.policy.adapt is not None and ring.policy.sink > 0 and call.frames == 1
        self._adapts = wants_sink and (ring.policy.rules == "original" or call.first)

    def _row_mask(self) -> Tensor:
        """Rows that hold fewer frames than others must not see empty slots: additive [B, 1, 1, S]."""
        frame = torch.arange(self._keys, device=self._filled.device) // self._ring.room.grid.frame_tokens
        hidden = frame[None] >= self._filled[:, None]
        zeros = torch.zeros(hidden.shape, dtype=self._ring.room.dtype, device=hidden.device)
        return zeros.masked_fill(hidden, float("-inf"))[:, None, None]

    def look(self, layer: int, q_BTND: Tensor, k_BTND: Tensor, v_BTND: Tensor) -> Seen:
        rows, ring = len(self._call.starts), self._ring
        k_rotated = rotate(k_BTND, self._phases)
        k_rows, v_rows = ring.k[layer][:rows], ring.v[layer][:rows]
        turns = ring.turns[layer].rows(rows)
        if self._adapts:
            turns.push_front(*self._stale_sink(k_rows, v_rows, k_rotated, v_BTND))
        last = self._last_slot(turns)
        for slots, new in ((k_rows, k_rotated), (v_rows, v_BTND)):
            shaped = torch.unflatten(new, 1, (self._call.frames, -1))
            self._slots(slots).index_put_((self._rows, last[:, None] - self._call.frames + self._offsets), shaped)
        return Seen(rotate(q_BTND, self._phases), k_rows[:, : self._keys], v_rows[:, : self._keys], self._mask)

    def _last_slot(self, turns: Turns) -> Tensor:
        """1-based slot [B] of each row's last new frame; moves the turn order on where this call does."""
        policy = self._ring.policy
        if policy.rules == "right" and not self._call.first:
            return turns.current.clone()
        taken = turns.take(self._full) if self._moves else turns.first()
        if policy.rules == "original":
            turns.append(self._after, ~self._full & (self._after > policy.sink) & (self._after <= policy.window))
        last = torch.where(self._full, taken, self._filled)
        turns.current.copy_(last)
        return last

    def _stale_sink(self, k: Tensor, v: Tensor, new_k: Tensor, new_v: Tensor) -> tuple[Tensor, Tensor]:
        """The sink slot (1-based, [B]) least like the new frame, and whether it is too unlike to stay (4.3)."""
        alike = (self._likeness(k, new_k) + self._likeness(v, new_v)) / 2
        if self._ring.policy.rules == "right":
            before = torch.where(self._full, self._filled, self._filled - self._call.frames)
            empty = torch.arange(alike.shape[1], device=alike.device) >= before[:, None]
            alike = alike.masked_fill(empty, 1.0)
        least = alike.min(1)
        return least.indices + 1, least.values < (self._ring.policy.adapt or 0.0)

    def _likeness(self, rows: Tensor, new: Tensor) -> Tensor:
        """Cosine similarity [B, sink] of token means over all heads."""
        means = self._slots(rows)[:, : self._ring.policy.sink].float().mean(2).flatten(2)
        return cosine_similarity(means, new.float().mean(1).flatten(1).unsqueeze(1), dim=-1)

    def _slots(self, tensor: Tensor) -> Tensor:
        """[B, W, L, N, D], a view."""
        return torch.unflatten(tensor, 1, (self._ring.policy.window, -1))
