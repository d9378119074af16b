"""Attention along time, which keeps depth steady from frame to frame (Video Depth Anything, Chen et al. 2025; Apache-2.0).

The names of the parts are those of the published file. Shape suffixes: T frames, C channels, H W rows and columns of features,
P places (H times W), L frames attended to. A frame's place in the window is its position; what is remembered comes first in it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 32  # frames at most, remembered ones included
HEADS, GROUPS = 8, 32


class _Attention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(self, x_PLC: Tensor, asking: int) -> Tensor:
        """What the last `asking` frames take from all of them [P, asking, C]."""
        x = x_PLC + _positions(*x_PLC.shape[1:]).to(x_PLC)
        parts = self.to_q(x[:, -asking:]), self.to_k(x), self.to_v(x)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        out: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


def _positions(length: int, dim: int) -> Tensor:
    """[L, C] in float32: sines and cosines by turns."""
    rates = torch.exp(torch.arange(0, dim, 2) * (-torch.log(torch.tensor(10_000.0)) / dim))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


class _Gate(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 8 * dim)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        out: Tensor = value * F.gelu(gate)
        return out


class _FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([_Gate(dim), nn.Identity(), nn.Linear(4 * dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class _Block(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(_Attention(dim) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.ff, self.ff_norm = _FeedForward(dim), nn.LayerNorm(dim)

    def forward(self, x_PTC: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The frames, and for either attention all that it has looked at [P, L, C]."""
        seen = []
        for number, (attention, norm) in enumerate(zip(self.attention_blocks, self.norms, strict=True)):
            now = norm(x_PTC)
            seen.append(torch.cat([past[number], now], 1) if past else now)
            x_PTC = x_PTC + attention(seen[-1], now.shape[1])
        return x_PTC + self.ff(self.ff_norm(x_PTC)), seen


class _Transformer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, dim, eps=1e-6)
        self.proj_in, self.proj_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.transformer_blocks = nn.ModuleList([_Block(dim)])

    def forward(self, x_TCHW: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        places = self.norm(x_TCHW).flatten(2).permute(2, 0, 1)
        made, seen = self.transformer_blocks[0](self.proj_in(places), past)
        return x_TCHW + self.proj_out(made).permute(1, 2, 0).unflatten(2, x_TCHW.shape[-2:]), seen


class OverTime(nn.Module):
    """Mixes features of the same place over time. `dim` must be a multiple of 32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.temporal_transformer = _Transformer(dim)

    def forward(self, x_TCHW: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The features, and what to hand in as `past` with the next frames: [P, L, C] twice; nothing at the start.

        At most 32 frames may be seen at once, so the caller forgets what is too old.
        """
        mixed: tuple[Tensor, list[Tensor]] = self.temporal_transformer(x_TCHW, past)
        return mixed
