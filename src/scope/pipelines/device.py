"""Where networks run."""

from __future__ import annotations

import os

import torch

from scope.frame import Frame

FEW_CORES = 4  # up to here a stage gets one thread: two that wait for each other collapse as soon as anything else runs
FLOW_ROWS = {"cpu": 80, "cuda": 160}  # on the shorter side of the grid that motion is looked for on


def work_device() -> torch.device:
    """The GPU where there is one. On a CPU of few cores torch gets one of them (docs/decisions/001)."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    stage_threads(1)
    return torch.device("cpu")


def stage_threads(stages: int) -> None:
    """Torch's threads for each of so many stages that run side by side."""
    if cores() <= FEW_CORES:
        torch.set_num_threads(1)
    elif stages > 1:
        torch.set_num_threads(cores() // stages)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flow_grain(frame: Frame, device: torch.device) -> int:
    """How many pixels of the picture make a cell of the flow's grid, so that motion costs the same at any size."""
    return max(1, min(frame.width, frame.height) // FLOW_ROWS.get(device.type, FLOW_ROWS["cpu"]))
