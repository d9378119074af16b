"""The linear stand-in VAE of golden/stream: the streaming interface of the real one, without weights (its README says how)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate


@dataclass
class ToyVae:
    """`shared_flag`: one "fresh" flag that only a decode clears (Scope); otherwise encode and decode each have their own."""

    e: Tensor  # [16, 3]
    d: Tensor  # [3, 16]
    shared_flag: bool = True
    fresh_encode: bool = True
    fresh_decode: bool = True
    last: Tensor | None = None  # mapped last frame of the previous group [B, 16, h, w]

    def clear(self) -> None:
        self.fresh_encode = self.fresh_decode = True
        self.last = None

    def encode(self, pixels: Tensor, *, cached: bool = True) -> Tensor:
        """[B, 3, T, H, W] -> [B, F, 16, h, w]."""
        mapped = torch.einsum("ij,btjhw->btihw", self.e, torch.stack([avg_pool2d(f, 8) for f in pixels.unbind(2)], 1))
        alone = 1 if not cached or self.fresh_encode else 0
        groups = [mapped[:, :alone]] if alone else []
        groups += [g for g in torch.split(mapped[:, alone:], 4, 1) if g.shape[1] == 4]
        last = self.last if cached else None
        out = []
        for group in groups:
            mean = group.mean(1)
            out.append(mean if last is None else mean + 0.25 * last)
            last = group[:, -1]
        if cached:
            self.last = last
            self.fresh_encode = self.fresh_encode and self.shared_flag
        return torch.stack(out, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, F, 16, h, w] -> [B, 3, T, H, W]."""
        frames = torch.einsum("ij,bfjhw->bfihw", self.d, latents)
        counts = torch.full((frames.shape[1],), 4)
        counts[0] = 1 if self.fresh_decode else 4
        self.fresh_decode = False
        self.fresh_encode = self.fresh_encode and not self.shared_flag
        wide: Tensor = torch.unflatten(interpolate(frames.flatten(0, 1), scale_factor=8, mode="nearest"), 0, frames.shape[:2])
        return wide.repeat_interleave(counts, 1).transpose(1, 2).clamp(-1, 1)
