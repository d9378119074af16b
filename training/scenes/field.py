"""What every scene paints with: a canvas of coordinates, dice, natural noise, and a few soft shapes.

Lengths are in picture heights, so a scene looks the same at any resolution. Shape suffixes: T frames, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

TAU = 2 * math.pi


class Dice:
    """Random numbers for one clip, the same for the same seed on every machine."""

    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand(1, generator=self.source))

    def whole(self, low: int, high: int) -> int:
        """low <= n <= high."""
        return int(torch.randint(low, high + 1, (1,), generator=self.source))

    def many(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=self.source)

    def pick(self, choices: list[str]) -> str:
        return choices[self.whole(0, len(choices) - 1)]

    def chance(self, share: float) -> bool:
        return self.between(0, 1) < share


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where and when: coordinates after camera motion, plain ones, and the scene's own time.

    x, y: [T,H,W] moved by the camera; flat_x, flat_y: [1,H,W] fixed to the picture, y downwards, both 0 in the middle.
    time: [T,1,1] seconds times speed; pan: [T,1,1] how far the camera has slid sideways.
    """

    x: Tensor
    y: Tensor
    flat_x: Tensor
    flat_y: Tensor
    time: Tensor
    pan: Tensor


@dataclass(frozen=True, slots=True)
class Ink:
    """A picture before colour. tone: place on the palette, dark 0 to light 1; hue: 0 the palette's first ramp, 1 its second;
    glow: light added in the palette's accent, 0 for none. All [T,H,W] or broadcastable to it."""

    tone: Tensor
    hue: Tensor
    glow: Tensor


Painter = Callable[[Canvas], Ink]


class Noise:
    """Smooth natural noise, periodic over 1 in both directions: mean 0, spread about 1; larger `slope`, softer."""

    def __init__(self, dice: Dice, slope: float = 2.0, size: int = 256, cut: float = 40.0) -> None:
        frequency = torch.fft.fftfreq(size, 1 / size)
        distance = torch.hypot(frequency[:, None], frequency[None])
        power = torch.where(distance > 0, distance.clamp_min(1) ** -slope, 0) * torch.exp(-((distance / cut) ** 2))
        white = torch.randn(size, size, generator=dice.source)
        soft = torch.fft.ifft2(torch.fft.fft2(white) * power).real
        soft = soft / soft.std()
        self.size = size
        self.tile = F.pad(soft[None, None], (0, 1, 0, 1), mode="circular")

    def __call__(self, u: Tensor, v: Tensor) -> Tensor:
        """Sampled at [T,H,W] (or broadcastable) coordinates."""
        u, v = together(u, v)
        grid = torch.stack([u - u.floor(), v - v.floor()], -1).mul_(2).sub_(1)
        flat = grid.reshape(1, -1, grid.shape[-2], 2)
        tile = self.tile.to(grid.device)
        return F.grid_sample(tile, flat, mode="bilinear", align_corners=True).reshape(u.shape)


def together(*parts: Tensor) -> tuple[Tensor, ...]:
    """All of one shape, without copying."""
    shape = sum((torch.zeros_like(part, device="meta") for part in parts), torch.zeros((), device="meta")).shape
    return tuple(part.expand(shape) for part in parts)


def smooth(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """0 below low, 1 above high, an S in between; high below low turns it round."""
    s = ((x - low) / (high - low)).clamp(0, 1)
    return s * s * (3 - 2 * s)


def bump(x: Tensor, width: float | Tensor) -> Tensor:
    """exp(-(x / width)^2)."""
    return torch.exp(-((x / width) ** 2))


def light(distance: Tensor, size: float) -> Tensor:
    """A lamp: a soft disk with a wide halo."""
    return smooth(size * 1.15, size * 0.85, distance) + 0.45 * torch.exp(-distance / (size * 2.2))


def turned(x: Tensor, y: Tensor, angle: Tensor | float) -> tuple[Tensor, Tensor]:
    a = torch.as_tensor(angle)
    return x * a.cos() - y * a.sin(), x * a.sin() + y * a.cos()


def polar(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Radius (never quite 0) and angle."""
    return torch.sqrt(x * x + y * y + 1e-6), torch.atan2(y, x)


def curve(values: Tensor, at: Tensor, *, sharp: bool = False) -> Tensor:
    """A closed curve through `values`, smooth in between or straight, sampled at positions with period 1."""
    n = len(values)
    place = (at - at.floor()) * n
    first = place.floor()
    part = place - first
    part = part if sharp else part * part * (3 - 2 * part)
    index = first.long() % n
    return values[index] * (1 - part) + values[(index + 1) % n] * part


def hashed(i: Tensor, j: Tensor, salt: float) -> Tensor:
    """A number in [0,1) for every pair of whole numbers."""
    return torch.frac(torch.sin(i * 12.9898 + j * 78.233 + salt) * 43758.547).abs()


def specks(x: Tensor, y: Tensor, *, per_height: float, size: float, share: float, salt: float, near: int = 0) -> Tensor:
    """Soft round dots, at most one per cell of a grid; size in cells."""
    u, v = x * per_height, y * per_height
    i, j = u.floor(), v.floor()
    margin = size * 1.1
    cx = margin + (1 - 2 * margin) * hashed(i, j, salt)
    cy = margin + (1 - 2 * margin) * hashed(i, j, salt + 3.1)
    there = (hashed(i, j, salt + 7.7) < share).float() * (0.4 + 0.6 * hashed(i, j, salt + 5.3))
    d = torch.hypot(u - i - cx, v - j - cy)
    return there * torch.exp(-((d / size) ** 2) * 2.5)


def stars(c: Canvas, salt: float, density: float = 0.5) -> Tensor:
    """Two layers of stars that twinkle a little, fixed to the picture."""
    twinkle = 0.8 + 0.2 * torch.sin(c.time * 2 + c.flat_x * 40 + c.flat_y * 31)
    many = specks(c.flat_x, c.flat_y, per_height=14, size=0.12, share=density, salt=salt)
    few = specks(c.flat_x + 0.37, c.flat_y, per_height=6, size=0.09, share=density * 0.6, salt=salt + 11)
    return (many * 0.6 + few) * twinkle
