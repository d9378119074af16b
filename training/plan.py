"""Every schedule in one table: what fits a CPU afternoon, and what a lent GPU can do in a few ten-minute calls.

Steps, not minutes, so that a run can be paused at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AutoencoderPlan:
    """Crops of `crop` pixels and `frames` frames from clips `height` pixels high."""

    steps: int
    batch: int
    crop: int
    frames: int
    height: int
    pool: int  # clips in memory
    renew: int  # steps between two new clips
    rate: float
    ema: float = 0.995


AUTOENCODER = {
    "cpu": AutoencoderPlan(4500, 4, 128, 16, 320, 90, 8, 1e-3),
    "gpu": AutoencoderPlan(9000, 32, 256, 16, 320, 2000, 1, 8e-4, ema=0.999),
    "test": AutoencoderPlan(3, 1, 64, 8, 64, 24, 2, 1e-4),
}
