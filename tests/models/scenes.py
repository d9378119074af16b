"""Moving pictures whose motion is known: soft random texture, shifted, turned or zoomed, and a disc that moves in front of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.models.blur import blur
from scope.models.dense_flow import warped

SIZE = (80, 112)


def texture(seed: int = 0, size: tuple[int, int] = SIZE, sigma: float = 1.5) -> Tensor:
    """[1, 1, H, W] in 0..1, with detail at two scales."""
    draw = torch.Generator().manual_seed(seed)
    fine, coarse = (blur(torch.randn(1, 1, *size, generator=draw), scale) * scale for scale in (sigma, 4 * sigma))
    return (0.5 + 0.25 * (fine + coarse)).clamp(0, 1)


def affine(turn: float, zoom: float, x: float, y: float, size: tuple[int, int] = SIZE) -> Tensor:
    """[1, 2, H, W]: the motion of every pixel when a picture turns (radians), grows and shifts (pixels)."""
    rows, columns = size
    down, right = torch.meshgrid(torch.arange(rows) - rows / 2, torch.arange(columns) - columns / 2, indexing="ij")
    angle = torch.tensor(turn)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    return torch.stack([cos * right - sin * down + x - right, sin * right + cos * down + y - down])[None]


def pair(flow: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two pictures between which everything moves by `flow` (on the first one's grid)."""
    second = texture(seed, (flow.shape[-2], flow.shape[-1]))
    return warped(second, flow), second


def passing_disc(at: float, size: tuple[int, int] = SIZE) -> Tensor:
    """A textured disc that moves 6 pixels to the right in front of a ground that moves 3 to the left, at that moment (0..1)."""
    rows, columns = size
    shift = 6 * (at - 0.5)
    ground = warped(texture(1, size), affine(0, 1, 3 * (at - 0.5), 0, size))
    front = warped(texture(2, size), affine(0, 1, -shift, 0, size))
    down, right = torch.meshgrid(torch.arange(rows) - rows / 2, torch.arange(columns) - columns / 2 - shift, indexing="ij")
    inside = (28.5 - (down.square() + right.square()).sqrt()).clamp(0, 1)
    return torch.lerp(ground, front, inside[None, None])


def inner(x: Tensor, edge: int = 10) -> Tensor:
    """Without the border, where something has come from outside."""
    return x[..., edge:-edge, edge:-edge]


def noise_to_signal(x: Tensor, y: Tensor) -> float:
    """Root of the mean squared difference."""
    return float(F.mse_loss(x, y).sqrt())
