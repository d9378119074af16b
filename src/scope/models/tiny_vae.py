"""The tiny VAE (TAEHV layout): `taew2_1`, `lighttaew2_1`, and any row like them (models-wan.md section 13).

Two-dimensional convolutions frame by frame; time passes only through memory blocks, which also see their input one frame ago.

Shape suffixes: B batch, C channels, T pixel frames, F latent frames, H W pixels, h w latent rows and columns;
N frames of all batches one after the other (B*T at the layer's own rate).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.errors import BadInput
from scope.models.codec import RIGHT, CodecState, Past, Rules
from scope.models.vae import MEAN, STD


@dataclass(frozen=True, slots=True)
class Stage:
    """One level of both halves, from the pixels inwards: its factor in space and in time, and the widths on its pixel side."""

    space: int
    time: int
    encoder: int
    decoder: int


@dataclass(frozen=True, slots=True)
class TinyVaeConfig:
    """One tiny VAE. `stages` run from the pixels inwards; `deep_*` are the widths at the latent end."""

    stages: tuple[Stage, ...] = (Stage(2, 2, 64, 64), Stage(2, 2, 64, 64), Stage(2, 1, 64, 128))
    deep_encoder: int = 64
    deep_decoder: int = 256
    blocks: int = 3  # memory blocks per level
    latent: int = 16
    patch: int = 1  # pixels folded into channels, rows and columns
    grow: Literal["repeat", "shuffle"] = "repeat"  # how the decoder gains rows and columns: copies, or channels laid out
    straight: bool = False  # latents are an affine code of whole blocks; the decoder's network adds to its inverse
    mean: tuple[float, ...] | None = None  # set: the network works on z * std + mean
    std: tuple[float, ...] | None = None


TINY_VAE = TinyVaeConfig()
LIGHT_TINY_VAE = TinyVaeConfig(mean=MEAN, std=STD)
NANO_VAE = TinyVaeConfig((Stage(2, 2, 0, 32), Stage(2, 2, 0, 48)), 0, 96, 1, 16, 4, "shuffle", straight=True)


class Memory(nn.Module):
    """relu(conv(relu(conv(relu(conv([now, before]))))) + now), where before is this block's input one frame ago."""

    slot = ""

    def __init__(self, wide: int) -> None:
        super().__init__()
        convs = (nn.Conv2d(2 * wide, wide, 3, padding=1), *(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(2)))
        self.conv = nn.Sequential(convs[0], nn.ReLU(True), convs[1], nn.ReLU(True), convs[2])

    def step(self, x_NCHW: Tensor, batch: int, past: Past) -> Tensor:
        x_BTCHW = x_NCHW.reshape(batch, -1, *x_NCHW.shape[1:])
        before = past.get(self.slot)
        if before is None:
            before = torch.zeros_like(x_BTCHW[:, :1])
        past[self.slot] = x_BTCHW[:, -1:].clone()
        shifted = torch.cat([before, x_BTCHW[:, :-1]], 1).reshape_as(x_NCHW)
        return F.relu(self.conv(torch.cat([x_NCHW, shifted], 1)) + x_NCHW, inplace=True)


class Pool(nn.Module):
    """`time` consecutive frames, side by side in the channels, become one."""

    def __init__(self, wide: int, time: int) -> None:
        super().__init__()
        self.time = time
        self.conv = nn.Conv2d(wide * time, wide, 1, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        n, c, h, w = x_NCHW.shape
        y: Tensor = self.conv(x_NCHW.reshape(n // self.time, c * self.time, h, w))
        return y


class Spread(nn.Module):
    """One frame becomes `time` consecutive ones, which lie side by side in the channels first; a position, `space` by `space`."""

    def __init__(self, wide: int, time: int, space: int = 1) -> None:
        super().__init__()
        self.time, self.space = time, space
        self.conv = nn.Conv2d(wide, wide * time * space**2, 1, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        n, _, h, w = x_NCHW.shape
        y: Tensor = self.conv(x_NCHW).reshape(n * self.time, -1, h, w)
        return F.pixel_shuffle(y, self.space) if self.space > 1 else y


class Fold(nn.Module):
    """`time` frames of `side` by `side` positions become one latent position, by an affine map."""

    def __init__(self, wide: int, latent: int, time: int, side: int) -> None:
        super().__init__()
        self.time, self.side = time, side
        self.conv = nn.Conv2d(wide * time * side**2, latent, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = F.pixel_unshuffle(x_NCHW, self.side)
        z: Tensor = self.conv(y.reshape(-1, y.shape[1] * self.time, *y.shape[2:]))
        return z


class Unfold(nn.Module):
    """Back from latents to frames by an affine map that also sees the latent before; a stream's first sees itself twice."""

    slot = "unfold"

    def __init__(self, wide: int, latent: int, time: int, side: int) -> None:
        super().__init__()
        self.time, self.side = time, side
        self.conv = nn.Conv2d(2 * latent, wide * time * side**2, 1)

    def step(self, z_NChw: Tensor, batch: int, past: Past) -> Tensor:
        z_BFChw = z_NChw.reshape(batch, -1, *z_NChw.shape[1:])
        before = past.get(self.slot)
        if before is None:
            before = z_BFChw[:, :1]
        past[self.slot] = z_BFChw[:, -1:].clone()
        y: Tensor = self.conv(torch.cat([z_BFChw, torch.cat([before, z_BFChw[:, :-1]], 1)], 2).flatten(0, 1))
        return F.pixel_shuffle(y.reshape(y.shape[0] * self.time, -1, *y.shape[2:]), self.side)


class Bound(nn.Module):
    """Latents far out are pulled in: 3 tanh(z / 3)."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z / 3) * 3


class TinyVae(nn.Module):
    """Both halves. Holds weights only: a stream's past is the CodecState passed in, so one model serves many streams."""

    def __init__(self, config: TinyVaeConfig = TINY_VAE) -> None:
        super().__init__()
        self.config = config
        self.frames_per_latent = math.prod(stage.time for stage in config.stages)
        self.pixels_per_cell = config.patch * math.prod(stage.space for stage in config.stages)
        block = (3 * config.patch**2, config.latent, self.frames_per_latent, self.pixels_per_cell // config.patch)
        self.encoder = nn.Sequential(Fold(*block)) if config.straight else _encoder(config)
        self.decoder = _decoder(config)
        self.straight = Unfold(*block) if config.straight else None
        for name, module in self.named_modules():
            if isinstance(module, Memory):
                module.slot = name

    def open(self, rules: Rules = RIGHT) -> CodecState:
        """The state of a new stream."""
        return CodecState(rules)

    def encode(self, x_BCTHW: Tensor, state: CodecState | None = None) -> Tensor:
        """Pixels [B,3,T,H,W] in [-1,1] to latents [B,F,C,h,w]; every four frames make one.

        Frames left over follow `state.rules.tail`; without a state, or with the original's rule, the last frame is repeated.
        Raises BadInput when height or width is no multiple of the cell.
        """
        if x_BCTHW.shape[3] % self.pixels_per_cell or x_BCTHW.shape[4] % self.pixels_per_cell:
            raise BadInput(
                f"a picture of {x_BCTHW.shape[4]}x{x_BCTHW.shape[3]}: sizes must be multiples of {self.pixels_per_cell}"
            )
        state = state or CodecState(Rules(tail="original"))
        state.begin_encode()
        x = state.with_held(x_BCTHW)
        over = x.shape[2] % self.frames_per_latent
        if over and state.rules.tail == "original":
            x = torch.cat([x, x[:, :, -1:].expand(-1, -1, self.frames_per_latent - over, -1, -1)], 2)
        elif over:
            state.hold(x[:, :, -over:])
            x = x[:, :, :-over]
        return self._encode_whole(x, state.encoder)

    def _encode_whole(self, x_BCTHW: Tensor, past: Past) -> Tensor:
        b, _, t, height, width = x_BCTHW.shape
        cells = (height // self.pixels_per_cell, width // self.pixels_per_cell)
        if not t:
            return x_BCTHW.new_empty(b, 0, self.config.latent, *cells)
        x_NCHW = (x_BCTHW.transpose(1, 2).flatten(0, 1) + 1) / 2
        x_NCHW = F.pixel_unshuffle(x_NCHW, self.config.patch) if self.config.patch > 1 else x_NCHW
        z_BFChw = _run(self.encoder, x_NCHW, b, past).reshape(b, t // self.frames_per_latent, -1, *cells)
        mean_std = self._statistics(z_BFChw)
        return z_BFChw if mean_std is None else (z_BFChw - mean_std[0]) / mean_std[1]

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        """Latents [B,F,C,h,w] to pixels [B,T,3,H,W] in [-1,1]; four frames each, less the first three of a stream."""
        state = state or CodecState()
        first = state.begin_decode()
        x_BTCHW = self.frames(z_BFChw, state).clamp_(0, 1).mul_(2).sub_(1)
        return x_BTCHW[:, self.frames_per_latent - 1 :] if first else x_BTCHW

    def frames(self, z_BFChw: Tensor, state: CodecState) -> Tensor:
        """All frames of these latents, [B,T,3,H,W] from 0 to 1, not yet kept within it."""
        mean_std = self._statistics(z_BFChw)
        z = z_BFChw if mean_std is None else z_BFChw * mean_std[1] + mean_std[0]
        b = z.shape[0]
        x_NCHW = _run(self.decoder, z.flatten(0, 1), b, state.decoder)
        if self.straight is not None:
            x_NCHW = x_NCHW + self.straight.step(z.flatten(0, 1), b, state.decoder)
        x_NCHW = F.pixel_shuffle(x_NCHW, self.config.patch) if self.config.patch > 1 else x_NCHW
        return x_NCHW.reshape(b, -1, *x_NCHW.shape[1:])

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.config.mean is None or self.config.std is None:
            return None
        mean, std = (like.new_tensor(values)[:, None, None] for values in (self.config.mean, self.config.std))
        return mean, std


def fit_spread(tensors: Mapping[str, Tensor], model: TinyVae) -> dict[str, Tensor]:
    """Checkpoints whose decoder doubles time more often than this one: the last output rows are the ones to keep."""
    rows = {f"{name}.conv.weight": m.conv.out_channels for name, m in model.named_modules() if isinstance(m, Spread)}
    return {key: value[-rows[key] :] if key in rows else value for key, value in tensors.items()}


def _run(layers: nn.Sequential, x_NCHW: Tensor, batch: int, past: Past) -> Tensor:
    for layer in layers:
        x_NCHW = layer.step(x_NCHW, batch, past) if isinstance(layer, Memory) else layer(x_NCHW)
    return x_NCHW


def _encoder(config: TinyVaeConfig) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3 * config.patch**2, config.stages[0].encoder, 3, padding=1), nn.ReLU(True)]
    inner = [*(stage.encoder for stage in config.stages[1:]), config.deep_encoder]
    for stage, wide in zip(config.stages, inner, strict=True):
        layers += [Pool(stage.encoder, stage.time), nn.Conv2d(stage.encoder, wide, 3, stride=stage.space, padding=1, bias=False)]
        layers += [Memory(wide) for _ in range(config.blocks)]
    return nn.Sequential(*layers, nn.Conv2d(config.deep_encoder, config.latent, 3, padding=1))


def _decoder(config: TinyVaeConfig) -> nn.Sequential:
    wide = config.deep_decoder
    layers: list[nn.Module] = [Bound(), nn.Conv2d(config.latent, wide, 3, padding=1), nn.ReLU(True)]
    for stage in reversed(config.stages):
        layers += [Memory(wide) for _ in range(config.blocks)]
        shuffle = config.grow == "shuffle"
        layers.append(nn.Identity() if shuffle else nn.Upsample(scale_factor=stage.space))
        layers.append(Spread(wide, stage.time, stage.space if shuffle else 1))
        layers.append(nn.Conv2d(wide, stage.decoder, 3, padding=1, bias=False))
        wide = stage.decoder
    return nn.Sequential(*layers, nn.ReLU(True), nn.Conv2d(wide, 3 * config.patch**2, 3, padding=1))
