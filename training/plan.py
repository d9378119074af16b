"""Every schedule in one table: what fits a CPU afternoon, and what a lent GPU can do in a few ten-minute calls.

Steps, not minutes, so that a run can be paused at any moment. `cpu` is what the shipped weights were made with.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes import PAINTERS

ALL = tuple(PAINTERS)


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


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """Clips of `chunks` chunks of `chunk` latent frames, `height` x `width` pixels."""

    steps: int
    batch: int
    height: int
    width: int
    chunks: int
    clips: int  # in the latent pool
    renew: int  # steps between two new clips
    rate: float
    warm: int
    scenes: tuple[str, ...] = ALL
    chunk: int = 3
    shift: float = 2.5
    own_from: int = 10**9  # step from which some contexts are the model's own predictions
    own_share: float = 0.3
    changes: float = 0.25  # share of clips in which the prompt changes
    drop_text: float = 0.1
    ema: float = 0.995


@dataclass(frozen=True, slots=True)
class DistilPlan:
    """A few-step student taught by the guided teacher, half of the time after its own frames."""

    steps: int
    batch: int
    rate: float
    guidance: float
    teacher_steps: int  # per student step
    rollout: float  # share of contexts the student made itself
    ema: float = 0.98


AUTOENCODER = {
    "cpu": AutoencoderPlan(3000, 4, 160, 8, 320, 56, 4, 6e-4, freeze_at=900, sharp_from=2200),
    "gpu": AutoencoderPlan(9000, 32, 256, 16, 320, 2000, 1, 8e-4, freeze_at=6000, sharp_from=6000, ema=0.999),
    "test": AutoencoderPlan(3, 1, 64, 4, 64, 2, 2, 1e-4, freeze_at=2, sharp_from=2),
}
FLOW = {
    "cpu": FlowPlan(4000, 16, 192, 320, 3, 1200, 4, 2e-3, 60),
    "gpu": FlowPlan(8000, 256, 320, 576, 3, 20_000, 1, 1e-3, 100, own_from=5000, ema=0.999),
    "test": FlowPlan(2, 2, 64, 64, 2, 4, 2, 1e-3, 1, scenes=("plasma", "ocean"), own_from=1),
}
DISTIL = {
    "cpu": DistilPlan(120, 8, 3e-4, 2.0, 2, 0.3),
    "gpu": DistilPlan(600, 128, 2e-4, 2.0, 4, 0.5, ema=0.99),
    "test": DistilPlan(1, 2, 1e-4, 2.0, 2, 1.0),
}
