"""Flow matching: the sigma table, its lookup, and the conversions between noise, flow and clean latent (models-wan.md section 6).

x_t = (1 - sigma) x0 + sigma noise; the network predicts noise - x0. Timesteps run from 1000 (noise) to 0 (clean) and are looked
up, never divided by 1000. Shapes are free: a tensor of timesteps must broadcast against the leading axes of the latent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from scope.errors import BadParams

TRAIN_STEPS = 1000


def shifted_sigmas(shift: float, steps: int = TRAIN_STEPS, *, floor: float | None = None) -> Tensor:
    """sigma_i = shift s / (1 + (shift-1) s); float32 [steps].

    s = linspace(1, 0, steps + 1) without its last entry, or linspace(1, floor, steps) (base model: floor 0.003/1.002).
    """
    s = torch.linspace(1.0, 0.0, steps + 1)[:-1] if floor is None else torch.linspace(1.0, floor, steps)
    return shift * s / (1 + (shift - 1) * s)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The shifted table, on the CPU: a chunk's step list is numbers, not tensors, so looking it up never waits for a GPU."""

    shift: float
    sigmas: Tensor = field(init=False, repr=False, compare=False)
    timesteps: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.shift <= 0:
            raise BadParams(f"shift {self.shift} must be positive")
        object.__setattr__(self, "sigmas", shifted_sigmas(self.shift))
        object.__setattr__(self, "timesteps", 1000 * self.sigmas)

    def nearest(self, t: Tensor) -> Tensor:
        """Index of the first table timestep nearest to each t (int64, t's shape)."""
        flat = t.reshape(-1).to(self.timesteps)
        return (self.timesteps[None] - flat[:, None]).abs().argmin(1).reshape(t.shape)

    def sigma(self, t: float) -> float:
        """Table sigma nearest to timestep t, exactly as stored in float32."""
        return float(self.sigmas[self.nearest(torch.tensor([t], dtype=torch.float32))[0]])

    def sigmas_at(self, t: Tensor) -> Tensor:
        """Table sigmas nearest to each t, float32, on t's device."""
        return self.sigmas[self.nearest(t.cpu())].to(t.device)

    def warp(self, steps: list[int]) -> list[float]:
        """The paper's warped step list: (timesteps ++ [0])[1000 - step]. Scope feeds the raw steps instead."""
        table = torch.cat([self.timesteps, self.timesteps.new_zeros(1)])
        return [float(table[TRAIN_STEPS - step]) for step in steps]

    def euler(self, x: Tensor, flow: Tensor, t: Tensor) -> Tensor:
        """One Euler step of the flow to the next table entry, t one value per sample (first axis)."""
        index = self.nearest(t)
        after = torch.cat([self.sigmas[1:], self.sigmas.new_zeros(1)])
        last = bool((index == TRAIN_STEPS - 1).any())  # the original sends the whole batch to 0 if any sample is at the end
        target = torch.zeros_like(self.sigmas[index]) if last else after[index]
        step = (target - self.sigmas[index]).reshape(-1, *(1,) * (x.ndim - 1))
        return x + flow * step


def clean(x: Tensor, flow: Tensor, sigma: float | Tensor) -> Tensor:
    """x0 = x - sigma flow, computed in float64, in flow's dtype."""
    return (x.double() - sigma * flow.double()).to(flow.dtype)


def renoise(x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
    """(1 - sigma) x0 + sigma noise in float32, in noise's dtype. A number is rounded to float32 first, as in the table."""
    s = torch.as_tensor(sigma, dtype=torch.float32, device=noise.device)
    return ((1 - s) * x0.float() + s * noise.float()).to(noise.dtype)


def mix(noise: Tensor, encoded: Tensor, scale: float) -> Tensor:
    """Start of a video-to-video chunk: scale * noise + (1 - scale) * encoded latent (models-stream.md section 2.3)."""
    return noise * scale + encoded * (1 - scale)


def first_step(scale: float) -> int:
    """Timestep that replaces the first step of a video-to-video chunk: int(1000 scale) - 100."""
    return int(1000 * scale) - 100
