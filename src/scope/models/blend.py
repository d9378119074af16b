"""Prompt embeddings between prompts: weighted blends, and the steps of a transition (models-wan.md section 9).

Embeddings are [1, T, C]: one row of C channels per text token, rows past the prompt's end are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from scope.errors import BadParams

Path = Literal["linear", "slerp"]
TOO_CLOSE = 0.01  # embeddings nearer than this (Frobenius) need no transition
FLAT = 1e-4  # radians between rows below which a straight line is as good and division is not safe


def shares(weights: Sequence[float]) -> Tensor:
    """Weights divided by their sum; equal shares if the sum is not positive. float32."""
    w = torch.tensor(weights, dtype=torch.float32)
    return w / w.sum() if w.sum() > 0 else torch.full_like(w, 1 / len(weights))


def linear(embeddings: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted mean, rescaled to the weighted mean of the norms (Frobenius, over the whole embedding)."""
    w = shares(weights).to(embeddings[0])
    mean = torch.stack([e * s for e, s in zip(embeddings, w, strict=True)]).sum(0)
    norm = torch.stack([e.norm() * s for e, s in zip(embeddings, w, strict=True)]).sum()
    return mean * (norm / mean.norm()) if mean.norm() > 1e-8 else mean


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical path from a (t = 0) to b (t = 1), row by row, without rescaling.

    Rows that point the same way take the straight line; the original turns them to zero unless all of them do.
    """
    unit_a, unit_b = (e / (e.norm(dim=-1, keepdim=True) + 1e-8) for e in (a, b))
    angle = (unit_a * unit_b).sum(-1, keepdim=True).clamp(-1, 1).acos()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / (angle.sin() + 1e-8)
    return torch.where(angle < FLAT, (1 - t) * a + t * b, arc)


def blend(embeddings: Sequence[Tensor], weights: Sequence[float], path: Path = "linear") -> Tensor:
    """One embedding out of several. `slerp` is defined for two; any other number is blended linearly.

    Raises BadParams for no embedding, or another number of weights.
    """
    if not embeddings or len(embeddings) != len(weights):
        raise BadParams(f"{len(embeddings)} prompts with {len(weights)} weights")
    if path == "slerp" and len(embeddings) == 2:
        return slerp(embeddings[0], embeddings[1], float(shares(weights)[1]))
    return linear(embeddings, weights)


def transition(source: Tensor, target: Tensor, steps: int, path: Path = "linear") -> list[Tensor]:
    """Embeddings for the next `steps` chunks, from source to target at linspace(0, 1, steps); empty if there is nothing to cross.

    With one step the original stays at the source for ever; so it is here, and a caller who wants a cut asks for 0 steps.
    """
    if steps <= 0 or float((target - source).norm()) < TOO_CLOSE:
        return []
    places = torch.linspace(0, 1, steps).tolist()
    if path == "slerp":
        return [slerp(source, target, t) for t in places]
    return [source + (target - source) * t for t in places]
