"""Weights that are the same everywhere, for networks whose outputs were recorded elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


@torch.no_grad()
def fill(module: nn.Module, seed: int = 0, gain: float = 1.0) -> None:
    """Normal numbers, parameter by parameter in the order of their names; matrices scaled by their inputs."""
    draw = np.random.default_rng(seed)
    for _, parameter in sorted(module.named_parameters()):
        numbers = torch.from_numpy(draw.standard_normal(tuple(parameter.shape), np.float32))
        spread = gain / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.3
        parameter.copy_(numbers * spread)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    """In 0..1."""
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))
