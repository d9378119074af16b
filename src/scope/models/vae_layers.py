"""The layers of the Wan VAE, each a step over any number of frames with its past passed in (models-wan.md section 12).

Shape suffixes: B batch, C channels, T frames (pixel or latent), H W rows and columns at the layer's own resolution.
A layer's `slot` is its name in the past; `name_slots` sets it once, from the layer's place in the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.models.codec import Past

MEMORY = 2  # frames a time kernel of 3 looks back


@runtime_checkable
class Step(Protocol):
    """A layer with a past."""

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor: ...


def through(layers: Iterable[nn.Module], x_BCTHW: Tensor, past: Past) -> Tensor:
    """One layer after the other; those without a past are simply called."""
    for layer in layers:
        x_BCTHW = layer.step(x_BCTHW, past) if isinstance(layer, Step) else layer(x_BCTHW)
    return x_BCTHW


def name_slots(model: nn.Module) -> None:
    """Give every layer that remembers something its own name in the past."""
    for name, module in model.named_modules():
        if isinstance(module, CausalConv | Shrink | Grow):
            module.slot = name


class CausalConv(nn.Conv3d):
    """A 3D convolution that sees the present and the two frames before; before the start of the stream there are zeros."""

    slot = ""

    def __init__(self, wide_in: int, wide_out: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> None:
        super().__init__(wide_in, wide_out, kernel, padding=(0, kernel[1] // 2, kernel[2] // 2))

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        seen = past.get(self.slot)
        if seen is None or seen.shape[2] < MEMORY:
            b, c, _, h, w = x_BCTHW.shape
            zeros = x_BCTHW.new_zeros(b, c, MEMORY - (0 if seen is None else seen.shape[2]), h, w)
            seen = zeros if seen is None else torch.cat([zeros, seen], 2)
        x = torch.cat([seen, x_BCTHW], 2)
        past[self.slot] = x[:, :, -MEMORY:].clone()
        y: Tensor = self(x)
        return y


class ChannelNorm(nn.Module):
    """x / max(||x||, 1e-12) * sqrt(C) * gamma, the norm over channels at every position; `axes` trailing ones in gamma."""

    def __init__(self, wide: int, axes: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(wide, *(1,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        unit: Tensor = F.normalize(x, dim=1)
        return unit * math.sqrt(x.shape[1]) * self.gamma


class Residual(nn.Module):
    """conv(silu(norm(conv(silu(norm x))))) + x, with a 1x1x1 convolution on the way past when the width changes."""

    def __init__(self, wide_in: int, wide_out: int) -> None:
        super().__init__()
        first = [ChannelNorm(wide_in), nn.SiLU(inplace=True), CausalConv(wide_in, wide_out)]
        second = [ChannelNorm(wide_out), nn.SiLU(inplace=True), nn.Identity(), CausalConv(wide_out, wide_out)]
        self.residual = nn.Sequential(*first, *second)
        self.shortcut = nn.Conv3d(wide_in, wide_out, 1) if wide_in != wide_out else nn.Identity()

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        y = through(self.residual, x_BCTHW, past)
        return y.add_(self.shortcut(x_BCTHW)) if not y.requires_grad else y + self.shortcut(x_BCTHW)


class FrameAttention(nn.Module):
    """One head over the positions of each frame by itself: norm, q k v, attention, projection, plus the input."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(wide, axes=2)
        self.to_qkv = nn.Conv2d(wide, wide * 3, 1)
        self.proj = nn.Conv2d(wide, wide, 1)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        b, c, t, h, w = x_BCTHW.shape
        frames = _frames(x_BCTHW)
        qkv = self.to_qkv(self.norm(frames)).reshape(b * t, 1, 3, c, h * w)
        q, k, v = (part.transpose(-1, -2) for part in qkv.unbind(2))
        seen = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(-1, -2).reshape(b * t, c, h, w)
        return x_BCTHW + _clip(self.proj(seen), b)


class Shrink(nn.Module):
    """Half the rows and columns; when `time`, also half the frames, except that a stream's first frame goes through alone."""

    slot = ""

    def __init__(self, wide: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(wide, wide, 3, stride=2))
        self.time_conv = nn.Conv3d(wide, wide, (3, 1, 1), stride=(2, 1, 1)) if time else None

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        y = _clip(self.resample(_frames(x_BCTHW)), x_BCTHW.shape[0])
        if self.time_conv is None:
            return y
        before = past.get(self.slot)
        past[self.slot] = y[:, :, -1:].clone()
        if before is not None:
            return self._halve(torch.cat([before, y], 2))
        return torch.cat([y[:, :, :1], self._halve(y)], 2) if y.shape[2] > 1 else y

    def _halve(self, x_BCTHW: Tensor) -> Tensor:
        assert self.time_conv is not None and x_BCTHW.shape[2] % 2 == 1
        y: Tensor = self.time_conv(x_BCTHW)
        return y


class Grow(nn.Module):
    """Twice the rows and columns, half the channels; when `time`, also twice the frames, except for a stream's first, which
    goes through alone and is not remembered."""

    slot = ""

    def __init__(self, wide: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(wide, wide // 2, 3, padding=1))
        self.time_conv = CausalConv(wide, wide * 2, (3, 1, 1)) if time else None

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        if self.time_conv is not None:
            x_BCTHW = self._double(x_BCTHW, past)
        return _clip(self.resample(_frames(x_BCTHW)), x_BCTHW.shape[0])

    def _double(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        assert self.time_conv is not None
        started = self.slot in past
        past.setdefault(self.slot, x_BCTHW.new_empty(0))  # only a mark: the frame itself is not remembered
        first, rest = (x_BCTHW[:, :, :0], x_BCTHW) if started else (x_BCTHW[:, :, :1], x_BCTHW[:, :, 1:])
        if not rest.shape[2]:
            return first
        b, c, t, h, w = rest.shape
        pairs = self.time_conv.step(rest, past).reshape(b, 2, c, t, h, w)
        return torch.cat([first, pairs.permute(0, 2, 3, 1, 4, 5).reshape(b, c, 2 * t, h, w)], 2)


def _frames(x_BCTHW: Tensor) -> Tensor:
    """[B,C,T,H,W] to [B*T,C,H,W]."""
    return x_BCTHW.transpose(1, 2).flatten(0, 1)


def _clip(x: Tensor, batch: int) -> Tensor:
    """[B*T,C,H,W] back to [B,C,T,H,W]."""
    return x.reshape(batch, -1, *x.shape[1:]).transpose(1, 2)
