"""DINOv2, the vision transformer that depth is read from (Oquab et al. 2023; Apache-2.0).

The names of its parts are those of the published files. Shape suffixes: B pictures, N patches, D width, H W pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 14  # pixels on a side
NUDGE = 0.1  # added to the grid's size when positions are stretched, as in training
EPS = 1e-6


@dataclass(frozen=True, slots=True)
class DinoConfig:
    """The small one by default. `grid` is the number of patches on a side that positions were trained for."""

    dim: int = 384
    layers: int = 12
    heads: int = 6
    grid: int = 37


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BND).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class _Scale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(dim, EPS), _Attention(dim, heads), _Scale(dim)
        self.norm2, self.mlp, self.ls2 = nn.LayerNorm(dim, EPS), _Mlp(dim), _Scale(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class _Patches(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)

    def forward(self, x_B3HW: Tensor) -> Tensor:
        out: Tensor = self.proj(x_B3HW).flatten(2).transpose(1, 2)
        return out


class Dino(nn.Module):
    """Patches in, what some of the layers make of them out."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.dim))
        self.patch_embed = _Patches(config.dim)
        self.blocks = nn.ModuleList(_Block(config.dim, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim, EPS)

    def forward(self, x_B3HW: Tensor, taps: Collection[int]) -> list[Tensor]:
        """[B, N, D] after each of the layers `taps`, normed. Sides must be multiples of 14; values as ImageNet's are normed."""
        rows, columns = (side // PATCH for side in x_B3HW.shape[-2:])
        patches = self.patch_embed(x_B3HW)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self._positions(rows, columns)
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in taps:
                found.append(self.norm(x)[:, 1:])
        return found

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Those of training, stretched to this picture's grid."""
        if rows == columns == self.grid:
            return self.pos_embed
        trained = self.pos_embed[:, 1:].float().transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        scale = ((rows + NUDGE) / self.grid, (columns + NUDGE) / self.grid)
        stretched = F.interpolate(trained, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], stretched.to(self.pos_embed.dtype)], 1)
