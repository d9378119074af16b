"""Flow as colour, in the way everyone draws it: hue is direction, paleness is rest (Baker et al., Middlebury, 2007)."""

from __future__ import annotations

from functools import lru_cache
from math import pi

import torch
from torch import Tensor

# how many steps the wheel takes from each colour to the next; eyes tell more shades apart where there are more
STEPS = (
    ((255, 0, 0), 15),
    ((255, 255, 0), 6),
    ((0, 255, 0), 4),
    ((0, 255, 255), 11),
    ((0, 0, 255), 13),
    ((255, 0, 255), 6),
)


@lru_cache(maxsize=4)
def _wheel(device: torch.device) -> Tensor:
    """[N + 1, 3] in 0..1; the last is the first again."""
    corners = [torch.tensor(colour, dtype=torch.float32) / 255 for colour, _ in STEPS]
    parts = [
        torch.lerp(here, there, (torch.arange(count) / count)[:, None])
        for here, there, (_, count) in zip(corners, [*corners[1:], corners[0]], STEPS, strict=True)
    ]
    return torch.cat([*parts, corners[0][None]]).to(device)


def coloured(flow: Tensor, rim: float) -> Tensor:
    """[B, 3, H, W] in 0..1 of a flow [B, 2, H, W]: white at rest, full colour from `rim` pixels on."""
    wheel = _wheel(flow.device)
    x, y = flow.unbind(1)
    speed = (x.square() + y.square()).sqrt_().div_(rim).clamp_(max=1)[..., None]
    turn = torch.atan2(-y, -x).div_(pi).add_(1).mul_((len(wheel) - 1) / 2)  # 0 at the right, clockwise on the screen
    step = turn.floor().clamp_(0, len(wheel) - 2)
    at = step.long()
    hue = torch.lerp(wheel[at], wheel[at + 1], (turn - step)[..., None])
    return (1 - speed * (1 - hue)).permute(0, 3, 1, 2)
