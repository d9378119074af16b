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
