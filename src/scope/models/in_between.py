"""Pictures between two pictures, from dense flow and without a trained net: both are moved to that moment and mixed.

What cannot be moved onto the other (a cut, a strobe) is not mixed: the nearer of the two is shown again. A fade is mixed: its
detail stays what it was.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.models.blur import blur
from scope.models.dense_flow import dense_flow, resized, warped
from scope.models.yuv import Yuv

ALIKE = 0.45  # correlation of the detail of both, once moved, below which they show different things ...
DIFFERENT = 0.06  # ... if their mean difference (full range is 1) is more than this
DETAIL = 4.0  # what is smaller than this deviation, in cells of the flow's grid


def in_between(first: Yuv, second: Yuv, at: float, grain: int = 4) -> Yuv:
    """The picture at the moment `at` (0..1). The flow is found on a grid `grain` times as coarse as the picture."""
    height, width = first.luma.shape[-2:]
    small_first, small_second = (F.avg_pool2d(picture.luma, grain, ceil_mode=True) for picture in (first, second))
    flow = dense_flow(small_first, small_second, at)
    if _is_cut(small_first, small_second, flow, at):
        return first if at < 0.5 else second
    half = resized(flow, height // 2, width // 2)
    return Yuv(
        _mixed(first.luma, second.luma, resized(half, height, width), at),
        _mixed(first.chroma, second.chroma, half, at),
    )


def _mixed(first: Tensor, second: Tensor, flow: Tensor, at: float) -> Tensor:
    return torch.lerp(warped(first, flow, -at), warped(second, flow, 1 - at), at)


def _is_cut(first: Tensor, second: Tensor, flow: Tensor, at: float) -> bool:
    before, after = warped(first, flow, -at), warped(second, flow, 1 - at)
    ours, theirs = (picture - blur(picture, DETAIL) for picture in (before, after))
    alike = (ours * theirs).mean() / (ours.square().mean() * theirs.square().mean()).sqrt().clamp_(min=1e-9)
    return bool((alike < ALIKE) & ((before - after).abs().mean() > DIFFERENT))
