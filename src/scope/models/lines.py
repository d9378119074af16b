"""Line drawing from luma without a trained net: thin ridges of the gradient, where the picture has a direction.

The strength of an edge is judged against its neighbourhood, so that dark and bright parts draw alike; texture, whose gradients
point everywhere, is left out by the coherence of the structure tensor.
Shape suffixes: B batch, H W rows and columns; one channel.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.models.blur import blur, edged, slopes, smoothstep

COARSE = 4  # the neighbourhood is looked at on a grid this much coarser
AROUND = 1.2  # deviation of the structure tensor's window, in coarse pixels
FLOOR = 0.008  # gradient per pixel below which nothing is an edge (full range is 1)
OBLIQUE = 2.414  # tan 67.5 degrees: beyond it a gradient counts as horizontal or vertical
FAINT, CLEAR = 0.8, 1.6  # relative strength at which a line begins to show, and is black
COVER = 2.2  # makes a blurred ridge as dark as it was


def draw_lines(luma_BHW: Tensor, detail: float = 0.4, width: float = 1.0) -> Tensor:
    """[B, 1, H, W] in 0..1, 1 where there is a line. `luma_BHW` [B, 1, H, W] in 0..1.

    `detail` 0..1: from the great outlines to fine texture. `width`: of a line, in pixels, from 1.
    """
    x, y = slopes(blur(luma_BHW, 2.0 - 1.3 * detail))
    strength = (x * x).addcmul_(y, y).sqrt_()
    energy, coherence = _neighbourhood(x, y)
    weight = smoothstep(coherence, 0.35 - 0.25 * detail, 0.75 - 0.35 * detail) / (energy.sqrt() + FLOOR)
    relative = _ridges(strength, x, y) * _enlarged(weight, luma_BHW)
    return widened(smoothstep(relative, FAINT, CLEAR), width)


def _neighbourhood(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared gradient, and how far the gradients agree in direction (0..1), both on the coarse grid."""
    tensor = F.avg_pool2d(torch.cat([x * x, y * y, x * y], 1), COARSE, ceil_mode=True)
    xx, yy, xy = blur(tensor, AROUND).chunk(3, 1)
    energy = xx + yy
    return energy, ((xx - yy).square_() + 4 * xy * xy).sqrt_() / (energy + 1e-6)


def _ridges(strength: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`strength` where it is no less than on either side across the edge, else 0."""
    wide = edged(strength, 1)
    height, columns = strength.shape[-2:]

    def sides(down: int, right: int) -> Tensor:
        ahead = wide[..., 1 + down : 1 + down + height, 1 + right : 1 + right + columns]
        behind = wide[..., 1 - down : 1 - down + height, 1 - right : 1 - right + columns]
        return torch.maximum(ahead, behind)

    flat, steep = x.abs(), y.abs()
    falling, rising = sides(1, 1), sides(1, -1)
    beside = torch.where(x * y > 0, falling, rising)
    beside = torch.where(flat > OBLIQUE * steep, sides(0, 1), beside)
    beside = torch.where(steep > OBLIQUE * flat, sides(1, 0), beside)
    return strength * (strength >= beside)


def _enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    rows, columns = like.shape[-2:]
    large = F.interpolate(coarse, scale_factor=COARSE, mode="bilinear", align_corners=False)
    return large[..., :rows, :columns]


def widened(ridge: Tensor, width: float) -> Tensor:
    """Ridges of one pixel [B, 1, H, W] as soft lines of `width` pixels."""
    if width <= 1.5:
        return blur(ridge, 0.8).mul_(COVER).clamp_(0, 1)
    reach = width / 2
    return smoothstep(F.conv2d(F.pad(ridge, _sides(reach)), _disc(reach).to(ridge)), 0.15, 0.85)


def _sides(reach: float) -> tuple[int, int, int, int]:
    around = int(reach) + 1
    return around, around, around, around


@lru_cache(maxsize=32)
def _disc(reach: float) -> Tensor:
    """[1, 1, N, N]: what a pixel of a ridge adds to its neighbours; soft by a pixel at the rim."""
    around = int(reach) + 1
    at = torch.arange(-around, around + 1, dtype=torch.float32)
    away = (at[:, None].square() + at[None].square()).sqrt()
    return (reach + 0.5 - away).clamp(0, 1)[None, None]
