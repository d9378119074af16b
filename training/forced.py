"""A clip's chunks, each a row of the batch with its own prompt and noise level, looking at themselves and the chunks before.

With this view the transformer of the product is trained as it is; positions run as in the product's rolling memory.
Shape suffixes: B clips, N chunks of a clip, R rows (B*N), T tokens of a chunk, H heads, D head channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scope.models.memory import Seen
from scope.models.rope import Grid, rotate
from scope.models.whole import block_causal_mask


class Forced:
    """A `View` for [R, ...] rows; nothing outlives the pass."""

    def __init__(self, grid: Grid, chunks: int, chunk: int, device: torch.device) -> None:
        frames = torch.arange(chunks * chunk, dtype=torch.float64, device=device)
        self._chunks, self._turns = chunks, grid.turns(frames)
        mask_TT = block_causal_mask(chunks * chunk, grid.frame_tokens, block=chunk, window=-1)
        self._mask = mask_TT.to(device) if chunks > 1 else None

    def look(self, layer: int, q_RTHD: Tensor, k_RTHD: Tensor, v_RTHD: Tensor) -> Seen:
        q, k, v = (x.reshape(-1, self._chunks * x.shape[1], *x.shape[2:]) for x in (q_RTHD, k_RTHD, v_RTHD))
        return Seen(rotate(q, self._turns), rotate(k, self._turns), v, self._mask)


class Recorded(Forced):
    """The same, and what it saw is kept: rotated keys and values of every layer."""

    def __init__(self, grid: Grid, chunks: int, chunk: int, device: torch.device) -> None:
        super().__init__(grid, chunks, chunk, device)
        self.kept: list[tuple[Tensor, Tensor]] = []

    def look(self, layer: int, q_RTHD: Tensor, k_RTHD: Tensor, v_RTHD: Tensor) -> Seen:
        seen = super().look(layer, q_RTHD, k_RTHD, v_RTHD)
        self.kept.append((seen.k_BSND, seen.v_BSND))
        return seen


class After:
    """One chunk for each clip, [B, ...], behind recorded ones."""

    def __init__(self, grid: Grid, before: list[tuple[Tensor, Tensor]], chunk: int, device: torch.device) -> None:
        begin = before[0][0].shape[1] // grid.frame_tokens if before else 0
        frames = torch.arange(begin, begin + chunk, dtype=torch.float64, device=device)
        self._before, self._turns = before, grid.turns(frames)

    def look(self, layer: int, q_BTHD: Tensor, k_BTHD: Tensor, v_BTHD: Tensor) -> Seen:
        q, k, v = rotate(q_BTHD, self._turns), rotate(k_BTHD, self._turns), v_BTHD
        if self._before:
            k, v = (torch.cat([old, new], 1) for old, new in zip(self._before[layer], (k, v), strict=True))
        return Seen(q, k, v)
