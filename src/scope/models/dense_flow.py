"""Dense optical flow between two pictures without a trained net: Lucas-Kanade from coarse to fine, with robust weights.

The flow lives on the pixel grid of a moment `at` between the two (0: the first's own, 0.5: half-way), so that a picture made for
that moment has no holes. Where the picture says nothing about motion, the flow is what its surroundings say.
Shape suffixes: B batch, H W rows and columns; flows are [B, 2, H, W] in pixels from the first picture to the second, x before y.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.models.blur import blur, slopes

COARSEST = 10  # pixels of the shorter side of the top of the pyramid, at least
ROUNDS, FINE_ROUNDS = 4, 2  # refinements per level, and on the finest
WINDOW = 2.2  # deviation of the window one motion is assumed in
SPREAD = 2.2  # deviation over which well-known flow reaches into its surroundings
STEP = 1.0  # pixels of its level that a refinement may move
NOISE = 0.7  # residual, in local contrasts, at which a pixel counts half
CONTRAST, AROUND = 0.02, 4.0  # what is flat (full range is 1), and the deviation of what is meant by local
DAMPING = 0.005  # of the gradient tensor: where there is less, nothing is known


def dense_flow(first_BHW: Tensor, second_BHW: Tensor, at: float = 0.0) -> Tensor:
    """[B, 2, H, W] at the moment `at` (0..1) between two [B, 1, H, W] pictures of the same size with values in 0..1."""
    pyramid = [torch.cat([first_BHW, second_BHW])]
    while min(pyramid[-1].shape[-2:]) >= 2 * COARSEST:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True, count_include_pad=False))
    flow = pyramid[-1].new_zeros(len(first_BHW), 2, *pyramid[-1].shape[-2:])
    for pair in reversed(pyramid):
        flow = resized(flow, *pair.shape[-2:])
        first, second = _levelled(pair).chunk(2)
        for _ in range(FINE_ROUNDS if pair is pyramid[0] else ROUNDS):
            flow = _refined(flow, first, second, at)
    return flow


def _levelled(luma: Tensor) -> Tensor:
    """Without slow shades and with even contrast, so that a lamp that flickers is no motion and dark parts count."""
    detail = luma - blur(luma, AROUND)
    return detail / (blur(detail.abs(), AROUND) + CONTRAST)


def _refined(flow: Tensor, first: Tensor, second: Tensor, at: float) -> Tensor:
    """One step of least squares per pixel, over its window; then the certain inform the uncertain."""
    before = warped(first, flow, -at) if at else first
    after = warped(second, flow, 1 - at)
    x, y = slopes(torch.lerp(after, before, at))
    rest = after - before
    weight = (1 + (rest / NOISE).square_()).reciprocal_()
    wx, wy = weight * x, weight * y
    xx, yy, xy, xr, yr = blur(torch.cat([wx * x, wy * y, wx * y, wx * rest, wy * rest], 1), WINDOW).chunk(5, 1)
    xx, yy = xx + DAMPING, yy + DAMPING
    det = xx * yy - xy * xy
    step = torch.cat([xy * yr - yy * xr, xy * xr - xx * yr], 1).div_(det).clamp_(-STEP, STEP)
    certainty = det / (xx + yy) - DAMPING / 2 + 1e-4
    sums = blur(torch.cat([(flow + step) * certainty, certainty], 1), SPREAD)
    return sums[:, :2] / sums[:, 2:]


def warped(x_BCHW: Tensor, flow: Tensor, share: float = 1.0) -> Tensor:
    """`x_BCHW` seen `share` of the flow further on: bilinear, the edge pixels repeated outside."""
    height, width = x_BCHW.shape[-2:]
    scale = flow.new_tensor([2 / width, 2 / height])
    grid = torch.addcmul(_grid(height, width, flow.device), flow.permute(0, 2, 3, 1), scale, value=share)
    return F.grid_sample(x_BCHW, grid.to(x_BCHW.dtype), mode="bilinear", padding_mode="border", align_corners=False)


@lru_cache(maxsize=32)
def _grid(height: int, width: int, device: torch.device) -> Tensor:
    """[1, H, W, 2]: where every pixel is, from -1 to 1."""
    x, y = (torch.arange(n, device=device).add(0.5).mul(2 / n).sub(1) for n in (width, height))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]


def resized(flow: Tensor, height: int, width: int) -> Tensor:
    """A flow for another size of picture: its vectors grow with it."""
    rows, columns = flow.shape[-2:]
    if (rows, columns) == (height, width):
        return flow
    larger = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return larger * flow.new_tensor([width / columns, height / rows])[:, None, None]
