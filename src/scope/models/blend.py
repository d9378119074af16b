"""Mixing prompt embeddings: several at once, and from one to another over time (models-wan.md section 9).

Shape suffixes: B batch, L token rows, D channels. All pure; the queue of a transition is kept by the pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scope.errors import BadParams

Method = Literal["linear", "slerp"]
TINY = 1e-8
STRAIGHT = 1e-4  # radians; below this an arc is a straight line
UNCHANGED = 0.01  # distance of whole embeddings below which a transition is not worth starting


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the original goes wrong, and what we do instead.

    rows: `each` takes the straight line for every single row whose ends point the same way (or exactly opposite, where no arc is
        right); `original` decides for all rows at once, so that equal rows beside different ones become 0.
    one_step: a transition of one step arrives (`target`), or shows only the `source` and never arrives (the original).
    """

    rows: Literal["each", "original"] = "each"
    one_step: Literal["target", "source"] = "target"


RIGHT = Rules()
SCOPE = Rules(rows="original", one_step="source")  # as Scope 0.2.4 behaves


def shares(weights: Sequence[float], like: Tensor) -> Tensor:
    """Weights as shares of one, in `like`'s type and place; equal shares when the sum is not above zero."""
    w = torch.tensor(list(weights), dtype=like.dtype, device=like.device)
    total = w.sum()
    return w / total if total > 0 else torch.full_like(w, 1 / len(w))


def blend(embeddings: Sequence[Tensor], weights: Sequence[float], method: Method = "linear", rules: Rules = RIGHT) -> Tensor:
    """One embedding out of several [B,L,D]; slerp is for exactly two, anything else is linear.

    Raises BadParams when there is nothing to mix or the numbers of embeddings and weights differ.
    """
    if not embeddings or len(embeddings) != len(weights):
        raise BadParams(f"{len(embeddings)} prompts and {len(weights)} weights; give one weight for each of at least one prompt")
    share = shares(weights, embeddings[0])
    if method == "slerp" and len(embeddings) == 2:
        return slerp(embeddings[0], embeddings[1], float(share[1]), rules)
    return _linear(embeddings, share)


def _linear(embeddings: Sequence[Tensor], share: Tensor) -> Tensor:
    """The weighted sum, made as long as its parts are on average (norms over the whole embedding)."""
    e_NBLD = torch.stack(list(embeddings))
    mixed: Tensor = torch.tensordot(share, e_NBLD, 1)
    length = mixed.norm()
    wanted = (share * e_NBLD.flatten(1).norm(dim=1)).sum()
    return mixed * (wanted / length) if length > TINY else mixed


def slerp(a_BLD: Tensor, b_BLD: Tensor, t: float, rules: Rules = RIGHT) -> Tensor:
    """Along the arc from a (t = 0) to b (t = 1), row by row; a row that is zero at one end grows as sin(t pi/2)."""
    unit_a, unit_b = (x / (x.norm(dim=-1, keepdim=True) + TINY) for x in (a_BLD, b_BLD))
    cosine = (unit_a * unit_b).sum(-1, keepdim=True)
    angle = torch.acos(cosine.clamp(-1, 1))
    line = (1 - t) * a_BLD + t * b_BLD
    arc = (torch.sin((1 - t) * angle) * a_BLD + torch.sin(t * angle) * b_BLD) / (torch.sin(angle) + TINY)
    if rules.rows == "original":
        return line if angle.abs().max() < STRAIGHT else arc
    straight = (angle < STRAIGHT) | (torch.pi - angle < STRAIGHT)
    return torch.where(straight, line, arc)


def transition(source: Tensor, target: Tensor, steps: int, method: Method = "linear", rules: Rules = RIGHT) -> list[Tensor]:
    """The embeddings of the next `steps` chunks, from the source itself to the target [B,L,D].

    Empty when source and target are as good as the same; the target alone when there are no steps to take.
    """
    if (target - source).norm() < UNCHANGED:
        return []
    if steps < 1 or (steps == 1 and rules.one_step == "target"):
        return [target]
    if method == "slerp":
        return [slerp(source, target, t, rules) for t in torch.linspace(0, 1, steps).tolist()]
    return [torch.lerp(source, target, t) for t in torch.linspace(0, 1, steps).tolist()]
