"""Three-dimensional rotary positions (models-wan.md section 4), computed on demand so that no table ever runs out.

Shape suffixes: B batch, F latent frames, L tokens per frame, T tokens (F*L), N heads, D head channels, P channel pairs (D/2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

THETA = 10000.0


def axis_angles(positions: Tensor, channels: int) -> Tensor:
    """Angles [positions, channels/2] in float64: position * 10000^(-2j/channels), each axis with its own `channels`."""
    exponents = torch.arange(0, channels, 2, dtype=torch.float64, device=positions.device) / channels
    return torch.outer(positions.double(), THETA**-exponents)


@dataclass(frozen=True, slots=True)
class Grid:
    """The token raster of one latent frame and how a head's channels are split over time, rows and columns."""

    rows: int
    cols: int
    head_dim: int

    @property
    def frame_tokens(self) -> int:
        return self.rows * self.cols

    @property
    def pairs(self) -> int:
        return self.head_dim // 2

    @property
    def split(self) -> tuple[int, int, int]:
        """Channels for (time, row, column): rows and columns get 2*(D//6) each, time the rest."""
        side = 2 * (self.head_dim // 6)
        return self.head_dim - 2 * side, side, side

    def turns(self, frames: Tensor) -> Tensor:
        """Unit complex numbers [len(frames)*L, P] (complex64) that rotate the tokens of frames at these time positions.

        `frames` may hold any number, also beyond 1023 and fractional; angles are float64 until the last cast.
        """
        time, row, col = self.split
        device, count = frames.device, len(frames)
        angles = torch.cat(
            [
                axis_angles(frames, time)[:, None, None].expand(-1, self.rows, self.cols, -1),
                axis_angles(torch.arange(self.rows, device=device), row)[None, :, None].expand(count, -1, self.cols, -1),
                axis_angles(torch.arange(self.cols, device=device), col)[None, None].expand(count, self.rows, -1, -1),
            ],
            dim=-1,
        ).reshape(count * self.frame_tokens, self.pairs)
        return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(x_BTND: Tensor, turns: Tensor) -> Tensor:
    """Turn adjacent channel pairs (2j, 2j+1) by `turns` [T, P] or [B, T, P]; float32 inside, the result in x's dtype."""
    pairs = torch.view_as_complex(torch.unflatten(x_BTND.float(), -1, (-1, 2)))
    return torch.view_as_real(pairs * turns.unsqueeze(-2)).flatten(-2).to(x_BTND.dtype)
