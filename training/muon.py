"""Muon (K. Jordan, 2024) for the matrices of the blocks, AdamW for all else: fewer samples to the same loss.

The momentum of a matrix is replaced by the nearest half-orthogonal one, by a few Newton-Schulz steps, before it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # published; steep at zero, so that five steps do


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """Near the orthogonal factor of a matrix [O, I]: singular values between about 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    tall = x.shape[0] > x.shape[1]
    y: Tensor = (x.T if tall else x) / (x.norm() + 1e-7)
    for _ in range(steps):
        square = y @ y.T
        y = torch.addmm(y, b * square + c * square @ square, y, beta=a)
    return y.T if tall else y


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; `lr` is scaled so that wide and tall matrices move alike."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float = 0.01, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nothing here needs a closure
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]))
                p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)
