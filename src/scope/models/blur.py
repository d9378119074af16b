"""Separable filters for a few planes, as sums of shifted planes: on a CPU several times as fast as a convolution of few channels.

Shape suffixes: B batch, C channels, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp

from torch import Tensor
from torch.nn.functional import pad

REACH = 2.0  # a Gaussian is cut off that many deviations from its middle


@lru_cache(maxsize=64)
def gaussian(sigma: float) -> tuple[float, ...]:
    """An odd number of weights that sum to 1."""
    reach = max(1, round(REACH * sigma))
    weights = [exp(-0.5 * (i / sigma) ** 2) for i in range(-reach, reach + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def blur(x_BCHW: Tensor, sigma: float) -> Tensor:
    """Gaussian, the edge pixels repeated outside; none for a `sigma` of 0."""
    return x_BCHW if sigma <= 0 else filtered(x_BCHW, gaussian(sigma))


def filtered(x_BCHW: Tensor, weights: Sequence[float]) -> Tensor:
    """Rows and columns each with the same odd number of weights."""
    reach = len(weights) // 2
    wide = edged(x_BCHW, reach)
    return _along(_along(wide, -1, weights), -2, weights)


def edged(x_BCHW: Tensor, reach: int) -> Tensor:
    """With its edge pixels repeated `reach` times on every side."""
    return pad(x_BCHW, (reach, reach, reach, reach), mode="replicate")


def _along(x: Tensor, dim: int, weights: Sequence[float]) -> Tensor:
    length = x.shape[dim] - len(weights) + 1
    total = x.narrow(dim, 0, length) * weights[0]
    for i, weight in enumerate(weights[1:], 1):
        total.add_(x.narrow(dim, i, length), alpha=weight)
    return total


def slopes(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along columns and rows (x, y), per pixel."""
    wide = edged(x_BCHW, 1)
    across, down = wide[..., 1:-1, :], wide[..., :, 1:-1]
    return (across[..., 2:] - across[..., :-2]).mul_(0.5), (down[..., 2:, :] - down[..., :-2, :]).mul_(0.5)


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, a soft step in between."""
    t = ((x - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)
