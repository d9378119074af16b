"""StreamDiffusionV2's stream batch: one pass per chunk, in which several chunks each take another of their steps.

Row r of the batch is the chunk that is r steps old, over row r of a ring, so every noise level looks back on its own past
(models-stream.md section 4.6). There are as many steps a second as before in fewer, larger passes; a chunk is finished steps - 1
chunks later. Rows without a chunk sit out. Shape suffixes: B rows, F latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scope.errors import BadInput
from scope.models.cache import TextMemory
from scope.models.device import to_device
from scope.models.flow import Schedule, clean, renoise
from scope.models.ring import Ring, RingCall
from scope.pipelines.denoising import Job, Setup

REFRESH = 50  # latent frames: from there positions begin again behind a full window (section 4.5); old keys keep their phases


class StreamBatch:
    """Needs a recipe with a ring; steers nothing (no control)."""

    def __init__(self, setup: Setup) -> None:
        """Raises BadInput for a recipe that has no ring."""
        if setup.recipe.ring is None:
            raise BadInput("only StreamDiffusionV2 was made for the schedule 'batch'")
        self._policy = replace(setup.recipe.ring, chunk=setup.recipe.policy.chunk)
        self._laps, self._network, self._parts = setup.laps, setup.network, setup.parts
        self._schedule = Schedule(setup.recipe.shift)
        self._text: TextMemory | None = None
        self.ring: Ring | None = None  # made when the number of steps is known
        self.cut()

    def cut(self, *, keep_bank: bool = False) -> None:
        if self.ring is not None:
            self.ring.reset()
        self._waiting: list[tuple[Tensor, int]] = []  # chunks on their way [1, F, 16, h, w], youngest first, with their positions
        self._position = 0  # of the next chunk
        self.past: Tensor | None = None

    def read(self, text: TextMemory) -> None:
        self._text = text

    def takes(self, steps: int) -> bool:
        return self.ring is None or self.ring.room.batch == steps

    def run(self, job: Job) -> Tensor | None:
        with self._laps.lap("denoise"):
            final = self._flow(job) if job.start else self._start(job)
        self.past = self.past if final is None else final
        return final

    def _start(self, job: Job) -> Tensor:
        """The first chunk takes all its steps on row 0; then every row begins with what that row has seen."""
        ring = self._opened(len(job.ts))
        x = x0 = job.x
        for number, t in enumerate(job.ts):
            if number:
                x = renoise(x0, job.noise(x.shape[1:])[None], self._schedule.sigma(t))
            x0 = self._pass(ring, x, (t,), RingCall((0,), x.shape[1], first=number == 0))
        ring.spread()
        self._position = x.shape[1]
        return x0

    def _opened(self, steps: int) -> Ring:
        """The ring, with a row for every step."""
        if self.ring is None or self.ring.room.batch != steps:
            room = self._parts.net.room(*self._parts.latent, batch=steps)
            with torch.inference_mode(False):  # it outlives the pass, and is emptied outside of any
                self.ring = Ring(replace(self._policy, steps=steps), room)
        return self.ring

    def _flow(self, job: Job) -> Tensor | None:
        """The new chunk's first step, the next one of those on their way, the last one of the oldest."""
        assert self.ring is not None
        if self._position >= REFRESH:
            self._position = self._policy.window - 1
        starts = (self._position, *(start for _, start in self._waiting))
        x = torch.cat([job.x, *(latents for latents, _ in self._waiting)])
        self._position += job.x.shape[1]
        x0 = self._pass(self.ring, x, job.ts[: len(starts)], RingCall(starts, job.x.shape[1]))
        self._waiting = [
            (renoise(x0[row : row + 1], job.noise(x.shape[1:])[None], self._schedule.sigma(t)), start)
            for row, (t, start) in enumerate(zip(job.ts[1:], starts, strict=False))
        ]
        return x0[-1:] if len(starts) == len(job.ts) else None

    def _pass(self, ring: Ring, x: Tensor, ts: tuple[float, ...], call: RingCall) -> Tensor:
        """Clean prediction for every row, each at its own timestep."""
        assert self._text is not None
        times = to_device(torch.tensor(ts), x.device)
        flow = self._network(x, times[:, None].expand(x.shape[:2]), self._text, ring.begin(call))
        sigmas = torch.tensor([self._schedule.sigma(t) for t in ts], dtype=torch.float64)
        return clean(x, flow, to_device(sigmas, x.device)[:, None, None, None, None])
