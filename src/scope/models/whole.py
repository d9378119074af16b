"""Attention over a whole clip without a memory: the base model, block-causal clips, and VACE's branch.

Shape suffixes: B batch, F latent frames, L tokens per frame, T tokens (F*L), S keys, N heads, D head channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from scope.models.memory import Seen
from scope.models.rope import Grid, rotate


class WholeClip:
    """A view for which positions begin at 0 and nothing outlives the pass.

    mask_TS: additive, None for full attention. zero_keys_to: parity with Scope's VACE, which pads the keys with unmasked zeros
    to a multiple of 128 (models-stream.md 9.1); 1 is plain attention.
    """

    def __init__(
        self, grid: Grid, frames: int, *, device: torch.device, mask_TS: Tensor | None = None, zero_keys_to: int = 1
    ) -> None:
        self._turns = grid.turns(torch.arange(frames, dtype=torch.float64, device=device))
        self._mask = mask_TS
        self._extra = -frames * grid.frame_tokens % zero_keys_to

    def look(self, layer: int, q_BTND: Tensor, k_BTND: Tensor, v_BTND: Tensor) -> Seen:
        q, k, v = rotate(q_BTND, self._turns), rotate(k_BTND, self._turns), v_BTND
        if self._extra:
            k, v = (pad(x, (0, 0, 0, 0, 0, self._extra)) for x in (k, v))
        return Seen(q, k, v, self._mask)


def block_causal_mask(frames: int, frame_tokens: int, *, block: int, window: int) -> Tensor:
    """Additive [T, T]: a token of frame f sees frames [end - window, end), end = (f // block + 1) * block (window -1: from 0)."""
    frame = torch.arange(frames).repeat_interleave(frame_tokens)
    end = (frame // block + 1) * block
    begin = torch.zeros_like(end) if window < 0 else end - window
    seen = (frame[None] >= begin[:, None]) & (frame[None] < end[:, None]) | torch.eye(len(frame), dtype=torch.bool)
    return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
