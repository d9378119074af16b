"""The net that draws scribbles: from a photograph to the lines an artist would draw (Chan, Durand, Isola 2022; MIT licence).

The names of its parts are those of the published file, `netG_A_latest.pth`. Shape suffixes: B batch, H W rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

STRIDE = 4  # the picture's sides are made a multiple of it
LEAST = 16  # and no shorter than this


def _normed(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), *_normed(nn.Conv2d(channels, channels, 3), channels)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv_block(x)
        return x + change


class LineArt(nn.Module):
    """Twice smaller, residual blocks, twice larger."""

    def __init__(self, width: int = 64, blocks: int = 3) -> None:
        super().__init__()
        one, two, four = width, 2 * width, 4 * width
        self.model0 = nn.Sequential(nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, one, 7), one))
        self.model1 = nn.Sequential(
            *_normed(nn.Conv2d(one, two, 3, 2, 1), two),
            *_normed(nn.Conv2d(two, four, 3, 2, 1), four),
        )
        self.model2 = nn.Sequential(*(_Residual(four) for _ in range(blocks)))
        self.model3 = nn.Sequential(
            *_normed(nn.ConvTranspose2d(four, two, 3, 2, 1, output_padding=1), two),
            *_normed(nn.ConvTranspose2d(two, one, 3, 2, 1, output_padding=1), one),
        )
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(one, 1, 7))

    def forward(self, x_B3HW: Tensor) -> Tensor:
        """[B, 1, H, W] in 0..1, dark lines on white, of RGB in 0..1 of any size."""
        height, width = x_B3HW.shape[-2:]
        below, right = (max(LEAST, -(-side // STRIDE) * STRIDE) - side for side in (height, width))
        x: Tensor = pad(x_B3HW, (0, right, 0, below), mode="replicate")
        for part in (self.model0, self.model1, self.model2, self.model3, self.model4):
            x = part(x)
        return torch.sigmoid(x)[..., :height, :width]
