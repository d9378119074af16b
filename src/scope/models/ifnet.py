"""RIFE's net: a picture for any moment between two (Huang et al. 2022; versions 4.22 to 4.26; MIT licence).

The names of its parts are those of the published file, `flownet.pkl`; its shapes say how many stages there are and how wide.
Shape suffixes: B batch, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.errors import BadInput
from scope.models.dense_flow import warped

RESIDUALS = 8  # per stage
CARRIED = 8  # channels a stage hands to the next, beside flow and mask
SLOPE = 0.2  # of the leaky rectifiers
HEAD_WIDTH = 16


@dataclass(frozen=True, slots=True)
class IFNetConfig:
    """`widths` of the stages, coarse to fine, the last at full size; `features` of each picture that are compared."""

    widths: tuple[int, ...] = (192, 128, 64, 32)
    features: int = 4

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """What a file holds. Raises BadInput when it is no RIFE of these versions."""
        names = takewhile(tensors.__contains__, (f"block{stage}.conv0.1.0.weight" for stage in count()))
        widths = tuple(tensors[name].shape[0] for name in names)
        head = tensors.get("encode.cnn3.weight")
        if not widths or head is None:
            raise BadInput("this is no RIFE of version 4.22 or later")
        return cls(widths, head.shape[1])


class _Head(nn.Module):
    """Features of one picture, at its own size."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, HEAD_WIDTH, 3, 2, 1)
        self.cnn1 = nn.Conv2d(HEAD_WIDTH, HEAD_WIDTH, 3, 1, 1)
        self.cnn2 = nn.Conv2d(HEAD_WIDTH, HEAD_WIDTH, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(HEAD_WIDTH, features, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.cnn0, self.cnn1, self.cnn2):
            x = F.leaky_relu(layer(x), SLOPE)
        made: Tensor = self.cnn3(x)
        return made


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x) * self.beta + x, SLOPE)


def _shrinking(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(SLOPE))


class _Stage(nn.Module):
    """Corrects the flow on a grid `scale` times as coarse as the picture."""

    def __init__(self, channels: int, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.conv0 = nn.Sequential(_shrinking(channels, width // 2), _shrinking(width // 2, width))
        self.convblock = nn.Sequential(*(_Residual(width) for _ in range(RESIDUALS)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * (5 + CARRIED), 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, flow: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """A correction of the two flows [B, 4, H, W], the mask's logit [B, 1, H, W], and what is carried on."""
        x = self._resized(x, 1 / self.scale)
        if flow is not None:
            x = torch.cat([x, self._resized(flow, 1 / self.scale) / self.scale], 1)
        made = self._resized(self.lastconv(self.convblock(self.conv0(x))), self.scale)
        return made[:, :4] * self.scale, made[:, 4:5], made[:, 5:]

    @staticmethod
    def _resized(x: Tensor, factor: float) -> Tensor:
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class IFNet(nn.Module):
    """The pictures are warped towards the moment and mixed; each stage sees how well the one before did."""

    def __init__(self, config: IFNetConfig) -> None:
        super().__init__()
        pictures = 2 * (3 + config.features)
        for stage, width in enumerate(config.widths):
            channels = pictures + 1 + (1 + CARRIED + 4 if stage else 0)
            self.add_module(f"block{stage}", _Stage(channels, width, 2 ** (len(config.widths) - 1 - stage)))
        self.encode = _Head(config.features)
        self._stages = len(config.widths)

    def forward(self, first_B3HW: Tensor, second_B3HW: Tensor, at_B: Tensor) -> Tensor:
        """[B, 3, H, W] of RGB in 0..1 at the moments `at_B` (0..1), of any size."""
        height, width = first_B3HW.shape[-2:]
        step = 2 ** (self._stages + 1)
        padding = (0, -width % step, 0, -height % step)
        first, second = F.pad(first_B3HW, padding), F.pad(second_B3HW, padding)
        at = at_B.to(first)[:, None, None, None].expand(-1, 1, *first.shape[-2:])
        return self._between(first, second, at)[..., :height, :width]

    def _between(self, first: Tensor, second: Tensor, at: Tensor) -> Tensor:
        seen = first, second, self.encode(first), self.encode(second)
        flow, mask, carried = self.get_submodule("block0")(torch.cat([*seen, at], 1), None)
        for stage in range(1, self._stages):
            moved = [warped(x, part) for x, part in zip(seen, (flow[:, :2], flow[:, 2:]) * 2, strict=True)]
            change, mask, carried = self.get_submodule(f"block{stage}")(torch.cat([*moved, at, mask, carried], 1), flow)
            flow = flow + change
        return torch.lerp(warped(second, flow[:, 2:]), warped(first, flow[:, :2]), torch.sigmoid(mask))
