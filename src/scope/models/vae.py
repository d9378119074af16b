"""The Wan 2.1 VAE and its pruned sibling LightVAE: pixels to latents and back, in a stream (models-wan.md section 12).

Shape suffixes: B batch, C channels, T pixel frames, F latent frames, H W pixels, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from scope.errors import BadInput
from scope.models.codec import RIGHT, CodecState, Past, Rules
from scope.models.vae_layers import CausalConv, ChannelNorm, FrameAttention, Grow, Residual, Shrink, name_slots, through

# Mean and standard deviation of each latent channel over the training set: z = (mu - mean) / std.
# fmt: off
MEAN = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
        0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)
STD = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
       3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)
# fmt: on


@dataclass(frozen=True, slots=True)
class VaeConfig:
    """One VAE. `widths()` of them are channels, from the pixels inwards."""

    base: int = 96
    pruned: float = 0.0  # share of every channel count left out
    multiples: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2  # residual blocks per level of the encoder; the decoder has one more
    shrink_time: tuple[bool, ...] = (False, True, True)
    latent: int = 16
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    encodes: Literal["normalised", "mean"] = "normalised"  # "mean": as StreamDiffusionV2 feeds it (models-stream.md 1.2)
    latents_per_pass: int = 1  # more is faster and takes more memory; the result is the same

    def widths(self) -> list[int]:
        return [int(self.base * multiple * (1 - self.pruned)) for multiple in (1, *self.multiples)]


WAN_VAE = VaeConfig()
LIGHT_VAE = VaeConfig(pruned=0.75)


class Encoder(nn.Module):
    """Pixels to twice the latent channels (mean, and a log variance nobody reads)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.widths()
        self.conv1 = CausalConv(3, widths[0])
        layers: list[nn.Module] = []
        for level, (wide_in, wide_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [Residual(wide_in if i == 0 else wide_out, wide_out) for i in range(config.blocks)]
            if level < len(config.shrink_time):
                layers.append(Shrink(wide_out, config.shrink_time[level]))
        self.downsamples = nn.Sequential(*layers)
        self.middle = _middle(widths[-1])
        self.head = nn.Sequential(ChannelNorm(widths[-1]), nn.SiLU(inplace=True), CausalConv(widths[-1], 2 * config.latent))

    def step(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        return through((self.conv1, *self.downsamples, *self.middle, *self.head), x_BCTHW, past)


class Decoder(nn.Module):
    """Latents to pixels, not yet clamped."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = config.widths()[::-1]
        widths = [widths[0], *widths[:-1]]
        self.conv1 = CausalConv(config.latent, widths[0])
        self.middle = _middle(widths[0])
        layers: list[nn.Module] = []
        for level, (wide_in, wide_out) in enumerate(zip(widths, widths[1:], strict=False)):
            entry = wide_in // 2 if level else wide_in  # a Grow halves the channels
            layers += [Residual(entry if i == 0 else wide_out, wide_out) for i in range(config.blocks + 1)]
            if level < len(config.shrink_time):
                layers.append(Grow(wide_out, config.shrink_time[::-1][level]))
        self.upsamples = nn.Sequential(*layers)
        self.head = nn.Sequential(ChannelNorm(widths[-1]), nn.SiLU(inplace=True), CausalConv(widths[-1], 3))

    def step(self, z_BCFhw: Tensor, past: Past) -> Tensor:
        return through((self.conv1, *self.middle, *self.upsamples, *self.head), z_BCFhw, past)


class WanVae(nn.Module):
    """Both halves. Holds weights only: a stream's past is the CodecState passed in, so one model serves many streams."""

    def __init__(self, config: VaeConfig = WAN_VAE) -> None:
        super().__init__()
        self.config = config
        self.frames_per_latent: int = 2 ** sum(config.shrink_time)
        self.pixels_per_cell: int = 2 ** len(config.shrink_time)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.conv1 = nn.Conv3d(2 * config.latent, 2 * config.latent, 1)
        self.conv2 = nn.Conv3d(config.latent, config.latent, 1)
        name_slots(self)

    def open(self, rules: Rules = RIGHT) -> CodecState:
        """The state of a new stream."""
        return CodecState(rules)

    def encode(self, x_BCTHW: Tensor, state: CodecState | None = None) -> Tensor:
        """Pixels [B,3,T,H,W] in [-1,1] to latents [B,F,C,h,w].

        A stream's first frame makes the first latent, every four more make one; frames left over follow `state.rules.tail`.
        Without a state the clip is a stream of its own and frames left over are dropped, as in the original.
        Raises BadInput when height or width is no multiple of 8.
        """
        if x_BCTHW.shape[3] % self.pixels_per_cell or x_BCTHW.shape[4] % self.pixels_per_cell:
            raise BadInput(
                f"a picture of {x_BCTHW.shape[4]}x{x_BCTHW.shape[3]}: sizes must be multiples of {self.pixels_per_cell}"
            )
        state = state or CodecState(Rules(tail="original"))
        first = state.begin_encode()
        x = state.with_held(x_BCTHW)
        if not x.shape[2]:
            state.encoding = not first
        ready = self._ready(x.shape[2], first)
        if state.rules.tail == "hold":
            state.hold(x[:, :, ready:])
        parts = [self._mean(part, state.encoder) for part in self._passes(x[:, :, :ready], first)]
        return torch.cat(parts, 1) if parts else self._no_latents(x)

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        """Latents [B,F,C,h,w] to pixels [B,T,3,H,W] clamped to [-1,1]; a stream's first latent is one frame, each other four."""
        state = state or CodecState()
        state.begin_decode()
        z = self._widen(z_BFChw).transpose(1, 2)
        parts = [self._pixels(part, state.decoder) for part in torch.split(z, self.config.latents_per_pass, 2)]
        return torch.cat(parts, 2).transpose(1, 2)

    def _ready(self, frames: int, first: bool) -> int:
        """How many of `frames` fill latents."""
        lead = 1 if first and frames else 0
        return lead + (frames - lead) // self.frames_per_latent * self.frames_per_latent

    def _passes(self, x_BCTHW: Tensor, first: bool) -> Iterator[Tensor]:
        if not x_BCTHW.shape[2]:
            return
        size = self.frames_per_latent * self.config.latents_per_pass
        head = 1 + size - self.frames_per_latent if first else 0
        if head:
            yield x_BCTHW[:, :, :head]
        if x_BCTHW.shape[2] > head:
            yield from torch.split(x_BCTHW[:, :, head:], size, 2)

    def _mean(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        mean_BFChw: Tensor = self.conv1(self.encoder.step(x_BCTHW, past)).transpose(1, 2)[:, :, : self.config.latent]
        if self.config.encodes == "mean":
            return mean_BFChw
        mean, scale = self._statistics(mean_BFChw)
        return (mean_BFChw - mean) * scale

    def _widen(self, z_BFChw: Tensor) -> Tensor:
        mean, scale = self._statistics(z_BFChw)
        wide_BFChw: Tensor = z_BFChw / scale + mean
        return wide_BFChw

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and 1/std, rounded in the working type as the original does, broadcastable to [B,F,C,h,w]."""
        mean, std = (like.new_tensor(values)[:, None, None] for values in (self.config.mean, self.config.std))
        return mean, 1.0 / std

    def _pixels(self, z_BCFhw: Tensor, past: Past) -> Tensor:
        return self.decoder.step(self.conv2(z_BCFhw), past).clamp_(-1, 1)

    def _no_latents(self, x_BCTHW: Tensor) -> Tensor:
        b, _, _, height, width = x_BCTHW.shape
        return x_BCTHW.new_empty(b, 0, self.config.latent, height // self.pixels_per_cell, width // self.pixels_per_cell)


def _middle(wide: int) -> nn.Sequential:
    return nn.Sequential(Residual(wide, wide), FrameAttention(wide), Residual(wide, wide))
