"""Where networks run."""

from __future__ import annotations

import os

import torch

from scope.frame import Frame

FEW_CORES = 4
FLOW_ROWS = {"cpu": 80, "cuda": 160}  # on the shorter side of the grid that motion is looked for on


def work_device() -> torch.device:
    """The GPU where there is one. On a CPU of few cores torch gets one of them (docs/decisions/001)."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if (os.cpu_count() or 1) <= FEW_CORES:
        torch.set_num_threads(1)
    return torch.device("cpu")


def flow_grain(frame: Frame, device: torch.device) -> int:
    """How many pixels of the picture make a cell of the flow's grid, so that motion costs the same at any size."""
    return max(1, min(frame.width, frame.height) // FLOW_ROWS.get(device.type, FLOW_ROWS["cpu"]))
