"""Every schedule in one place: what fits a CPU afternoon, and what a lent GPU can do in a few ten-minute calls.

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
    border: float = 4.0  # weight of the step into a new block


AUTOENCODER = {
    "cpu": AutoencoderPlan(2000, 4, 128, 16, 320, 90, 8, 1e-3),
    "cpu-border": AutoencoderPlan(900, 4, 128, 16, 320, 90, 8, 6e-4, border=16.0),  # after "cpu", with --start
    "gpu": AutoencoderPlan(9000, 32, 256, 16, 320, 2000, 1, 8e-4, ema=0.999),
    "test": AutoencoderPlan(3, 1, 64, 8, 64, 24, 2, 1e-4),
}


@dataclass(frozen=True, slots=True)
class LibraryPlan:
    """`shards` files of `shard` clips, `latents` long."""

    shards: int
    shard: int
    height: int
    width: int
    latents: int = 12


LIBRARY = {
    "cpu": LibraryPlan(28, 88, 192, 320),
    "cpu-large": LibraryPlan(6, 44, 320, 576),
    "gpu": LibraryPlan(200, 88, 320, 576),
    "test": LibraryPlan(2, 6, 64, 64, 6),
}


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """`batch` clips of the smallest size in the library a step, or as many larger ones as cost the same."""

    steps: int
    batch: int
    matrix_rate: float  # Muon's
    rate: float  # AdamW's
    shift: float = 2.5
    ema: float = 0.998


FLOW = {
    "cpu": FlowPlan(1160, 32, 0.01, 1e-3),
    "cpu-more": FlowPlan(760, 32, 0.01, 1e-3, ema=0.995),  # half an hour more, with --start
    "gpu": FlowPlan(8000, 256, 0.01, 1e-3, ema=0.999),
    "test": FlowPlan(4, 2, 0.01, 1e-3),
}


@dataclass(frozen=True, slots=True)
class DistilPlan:
    """`batch` streams at once; the teacher takes `substeps` guided steps where the student takes one."""

    steps: int
    batch: int
    rate: float
    substeps: int = 5
    guidance: float = 2.0
    shift: float = 2.5
    ema: float = 0.97


DISTIL = {
    "cpu": DistilPlan(160, 24, 2e-4),
    "gpu": DistilPlan(1500, 192, 2e-4, substeps=8, ema=0.995),
    "test": DistilPlan(3, 2, 2e-4, substeps=2),
}
