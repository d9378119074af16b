"""A picture as luma and colour difference, as codecs and `Frame` have it: what looks at light alone need not make RGB first.

BT.601, limited range. Shape suffixes: B batch, H W rows and columns; chroma has half as many of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Bytes = NDArray[np.uint8]
BLACK, LUMA_RANGE, NEUTRAL, CHROMA_RANGE = 16, 219, 128, 224


@dataclass(frozen=True, slots=True)
class Yuv:
    """`luma` [1, 1, H, W] in 0..1 and `chroma` [1, 2, H/2, W/2] in -0.5..0.5, U before V."""

    luma: Tensor
    chroma: Tensor


def luma_of(y: Bytes, device: torch.device) -> Tensor:
    """[1, 1, H, W] of a Y plane; darker than black and lighter than white stay what they are."""
    return torch.from_numpy(np.array(y)).to(device).float().sub_(BLACK).div_(LUMA_RANGE)[None, None]


def yuv_of(planes: tuple[Bytes, Bytes, Bytes], device: torch.device) -> Yuv:
    chroma = torch.from_numpy(np.stack(planes[1:])).to(device).float().sub_(NEUTRAL).div_(CHROMA_RANGE)
    return Yuv(luma_of(planes[0], device), chroma[None])


def planes_of(luma: Tensor, chroma: Tensor | None = None) -> tuple[Bytes, Bytes, Bytes]:
    """Y, U and V on the CPU; without `chroma` there is no colour."""
    y = _bytes(luma * LUMA_RANGE + BLACK)[0, 0]
    if chroma is None:
        neutral = np.full((y.shape[0] // 2, y.shape[1] // 2), NEUTRAL, np.uint8)
        return y, neutral, neutral
    u, v = _bytes(chroma * CHROMA_RANGE + NEUTRAL)[0]
    return y, u, v


def _bytes(x: Tensor) -> Bytes:
    rounded: Bytes = x.add_(0.5).clamp_(0, 255).to(torch.uint8).cpu().numpy()
    return rounded
