"""Every schedule in one table: what fits a CPU afternoon, and what a lent GPU can do in a few ten-minute calls.

Steps, not minutes, so that a run can be paused at any moment. The rates are low because a linear start is easily broken (README).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AutoencoderPlan:
    """Crops of `crop` pixels and `frames` frames from clips `height` pixels high; the encoder rests after `freeze_at` steps."""

    steps: int
    batch: int
    crop: int
    frames: int
    height: int
    pool: int  # clips in memory
    renew: int  # steps between two new clips
    rate: float
    freeze_at: int
    sharp_from: int  # step from which edges count too
    ema: float = 0.995


AUTOENCODER = {
    "cpu": AutoencoderPlan(3000, 4, 160, 8, 320, 56, 4, 3e-5, freeze_at=900, sharp_from=2200),
    "gpu": AutoencoderPlan(9000, 32, 256, 16, 320, 2000, 1, 6e-5, freeze_at=6000, sharp_from=6000, ema=0.999),
    "test": AutoencoderPlan(3, 1, 64, 4, 64, 2, 2, 1e-4, freeze_at=2, sharp_from=2),
}
