"""The original StreamDiffusionV2's loop around the network: start chunk, sequential steps, stream batch, switching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from scope.models.flow import Schedule, clean, first_step, mix, renoise
from scope.models.motion import recursive_noise_scale
from scope.models.ring import Ring, RingCall, RingPolicy
from scope.models.wan import WanTransformer
from tests.golden.case import Case
from tests.golden.nets import transformer
from tests.golden.sessions import weights_of
from tests.golden.toy_vae import ToyVae


def draws(case: Case, role: str) -> Iterator[Tensor]:
    """Recorded noise of one role, in order."""
    tensors, i = case.floats(), 0
    while f"noise.{role}{i}" in tensors:
        yield tensors[f"noise.{role}{i}"]
        i += 1


def ring_policy(meta: dict[str, Any], **options: Any) -> RingPolicy:
    adapt = meta["adapt_sink_threshold"]
    steps = len(meta["denoising_step_list"])
    return RingPolicy(meta["num_kv_cache"], meta["num_sink_tokens"], steps, adapt=None if adapt <= -1 else adapt, **options)


@dataclass
class Original:
    """One session; `steps` is the configured denoising list, whose first entry follows the noise scale."""

    case: Case
    ring: Ring
    net: WanTransformer
    vae: ToyVae
    schedule: Schedule
    video: Tensor  # [1, 3, T, H, W] in [-1, 1]
    prompt: Tensor
    scale: float
    start: int = 0  # next chunk's first latent frame
    hidden: Tensor | None = None  # [rows, n, 16, h, w]
    starts: list[int] = field(default_factory=list)
    encode_noise: Iterator[Tensor] = field(init=False)
    renoise_noise: Iterator[Tensor] = field(init=False)

    @classmethod
    def of(cls, case: Case, video: Tensor, shift: float, **options: Any) -> Original:
        common = case.sibling(case.meta["common"])
        given = common.floats()
        net = transformer(common.meta["model_config"], weights_of(common)[0])
        policy = ring_policy(case.meta, **options)
        ring = Ring(policy, net.room(video.shape[-2] // 8, video.shape[-1] // 8, batch=policy.steps))
        vae = ToyVae(given["vae.E"], given["vae.D"], shared_flag=False)
        self = cls(case, ring, net, vae, Schedule(shift), video, given["prompt0"][None], case.meta["init_noise_scale"])
        self.encode_noise, self.renoise_noise = draws(case, "encode"), draws(case, "renoise")
        return self

    @property
    def steps(self) -> list[float]:
        return [float(s) for s in self.case.meta["denoising_step_list"]]

    def x0(self, x: Tensor, t: list[float], call: RingCall) -> Tensor:
        """Clean prediction for every row of x, timestep t[row]."""
        t_BF = torch.tensor(t)[:, None].expand(x.shape[:2])
        flow = self.net(x, t_BF, self.net.read(self.prompt), self.ring.begin(call))
        sigmas = torch.tensor([self.schedule.sigma(s) for s in t], dtype=torch.float64)
        return clean(x, flow, sigmas[:, None, None, None, None])

    def prepare(self, frames: int, noises: Case | None = None) -> Tensor:
        """The start chunk, on row 0; then every row gets a copy of the ring. Its noise may be recorded with another case."""
        latent = self.vae.encode(self.video[:, :, :frames])
        x = mix(next(self.encode_noise), latent, self.scale)
        prepare = draws(noises or self.case, "prepare")
        for i, t in enumerate(self.steps):
            x0 = self.x0(x, [t], RingCall((0,), x.shape[1], first=i == 0))
            if i + 1 < len(self.steps):
                x = renoise(x0, next(prepare)[None], self.schedule.sigma(self.steps[i + 1]))
        self.start = x.shape[1]
        self.settle()
        return x0

    def settle(self) -> None:
        """Every row takes over row 0's ring; nothing is in flight."""
        self.ring.spread()
        rows = self.ring.room.batch
        self.hidden = torch.zeros(rows, 1, 16, self.video.shape[-2] // 8, self.video.shape[-1] // 8)
        self.starts = [self.start] * rows

    def noisy(self, frames: tuple[int, int]) -> tuple[Tensor, list[float]]:
        """The next chunk's noisy latent and the step list it runs under."""
        self.scale = recursive_noise_scale(
            self.video[:, :, frames[0] - 1 : frames[1]], self.case.meta["init_noise_scale"], self.scale
        )
        latent = self.vae.encode(self.video[:, :, frames[0] : frames[1]])
        refresh = self.case.meta.get("t_refresh")
        if refresh is not None and self.start >= refresh:
            self.start = self.ring.policy.window - 1
        return mix(next(self.encode_noise), latent, self.scale), [float(first_step(self.scale)), *self.steps[1:]]

    def sequential(self, x: Tensor, steps: list[float]) -> Tensor:
        for i, t in enumerate(steps):
            x0 = self.x0(x, [t], RingCall((self.start,), x.shape[1], first=i == 0))
            if i + 1 < len(steps):
                x = renoise(x0, next(self.renoise_noise)[None], self.schedule.sigma(steps[i + 1]))
        self.start += x.shape[1]
        return x0

    def batched(self, x: Tensor, steps: list[float]) -> Tensor:
        """One pass over all rows; answers them with all but the last noised again for their next step."""
        assert self.hidden is not None
        self.starts = [self.start, *self.starts[:-1]]
        self.hidden = self.rows(torch.cat([x, self.hidden[:-1]]), steps, self.starts)
        self.start += x.shape[1]
        return self.hidden

    def rows(self, x: Tensor, steps: list[float], starts: list[int]) -> Tensor:
        """One pass over the first len(starts) rows. All recorded noise of an iteration is drawn, also for rows that sit out."""
        count = len(starts)
        out = self.x0(x, steps[:count], RingCall(tuple(starts), x.shape[1]))
        for row in range(len(steps) - 1):
            noise = next(self.renoise_noise)[0]
            if row < count:
                out[row] = renoise(out[row], noise, self.schedule.sigma(steps[row + 1]))
        return out
