"""How a chunk's noise becomes clean latents, and what is remembered of it: one chunk at a time, through all its steps.

`stream_batch.py` is the other schedule. Shape suffixes: F latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from scope.models.cache import Call, Kind, TextMemory
from scope.models.flow import Schedule, clean, renoise
from scope.models.laps import Laps
from scope.models.memory import Memory, View
from scope.models.vace import Control
from scope.pipelines.decoding import Decoding
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.rules import StreamRules

CONTEXT = 3  # latents that Krea reads again before each chunk


class Network(Protocol):
    """One pass: flow for noisy latents [B, F, 16, h, w] at timesteps [B, F]. The transformer itself, or a recording of it."""

    def __call__(self, x: Tensor, t: Tensor, text: TextMemory, view: View, control: Control | None = None) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk to denoise."""

    x: Tensor  # noise or noisy video [1, F, 16, h, w]
    ts: tuple[float, ...]  # falling, in 0..1000
    start: int  # its first latent frame; 0 is the beginning of a shot
    noise: Callable[[Sequence[int]], Tensor]  # the next noise of the chunk, where x is
    control: Control | None = None
    bias: float = 1.0  # Krea's attention to the past
    changed: bool = False  # another prompt than for the chunk before


@dataclass(frozen=True, slots=True)
class Setup:
    """What a schedule works with."""

    recipe: Recipe
    parts: Parts
    rules: StreamRules
    decoding: Decoding
    laps: Laps
    network: Network


class Denoising(Protocol):
    """A schedule of denoising. `past`: the latest clean latents [1, F, 16, h, w], None at the start of a shot."""

    past: Tensor | None

    def read(self, text: TextMemory) -> None:
        """Another prompt, from the next pass on."""

    def cut(self, *, keep_bank: bool = False) -> None:
        """The coming chunk is the first of a new shot."""

    def takes(self, steps: int) -> bool:
        """Whether the coming chunk may have so many steps without a cut."""

    def run(self, job: Job) -> Tensor | None:
        """Clean latents: of this chunk, or of an earlier one; None when none is finished yet."""


class Chunkwise:
    """A chunk takes all its steps at once, over a rolling memory; then a clean pass remembers it, or its past is read anew."""

    def __init__(self, setup: Setup) -> None:
        self._recipe, self._rules, self._decoding, self._laps = setup.recipe, setup.rules, setup.decoding, setup.laps
        self._network, parts = setup.network, setup.parts
        self.memory = Memory(setup.recipe.policy, parts.net.room(*parts.latent))
        self._schedule = Schedule(setup.recipe.shift)
        self._text: TextMemory | None = None
        self.cut()

    def cut(self, *, keep_bank: bool = False) -> None:
        self.memory.reset(keep_bank=keep_bank)
        self._stale = True  # nothing has looked through the memory since the prompt changed
        self.past: Tensor | None = None
        self._first: Tensor | None = None

    def read(self, text: TextMemory) -> None:
        self._text, self._stale = text, True

    def takes(self, steps: int) -> bool:
        return True

    def run(self, job: Job) -> Tensor:
        with self._laps.lap("context"):
            self._prepare(job)
        with self._laps.lap("denoise"):
            final = self._denoise(job)
        with self._laps.lap("remember"):
            if self._recipe.context == "clean":
                self._pass(final, 0.0, Call(job.start, final.shape[1], "clean"))
            self._remember(final)
        return final

    def _prepare(self, job: Job) -> None:
        """What must be in the memory before the chunk: latents read again under a new prompt, or a rebuilt past."""
        if self.past is None:
            return
        if self._recipe.context == "rebuilt":
            self._pass(self._context(self.past, job.start), 0.0, Call(0, CONTEXT, "clean"))
        elif job.changed and self._recipe.recache:
            seen = self.past[:, -self._recipe.policy.window :]
            self._pass(seen, 0.0, Call(job.start - seen.shape[1], seen.shape[1], "recache"))
            self._stale = True

    def _context(self, past: Tensor, start: int) -> Tensor:
        """Krea's three: an anchor and the last two latents (models-stream.md 6.2)."""
        anchor = self._first if start < 2 * CONTEXT else self._decoding.anchor()
        assert anchor is not None
        return torch.cat([anchor, past[:, 1 - CONTEXT :]], 1)

    def _denoise(self, job: Job) -> Tensor:
        rebuilt = self._recipe.context == "rebuilt"
        start = min(job.start, CONTEXT) if rebuilt else job.start
        x = x0 = job.x
        for number, t in enumerate(job.ts):
            if number:
                x = renoise(x0, job.noise(x.shape[1:])[None], self._schedule.sigma(t))
            kind: Kind = "step" if number else "first"
            flow = self._pass(x, t, Call(start, x.shape[1], kind, job.bias if rebuilt else 1.0), job.control)
            x0 = clean(x, flow, self._schedule.sigma(t))
        return x0

    def _pass(self, x: Tensor, t: float, call: Call, control: Control | None = None) -> Tensor:
        assert self._text is not None
        at = torch.full((1, x.shape[1]), t, device=x.device)
        blind = self._stale and self._rules.bank == "blind"
        view = self.memory.begin(call, None if blind else self._text)
        flow = self._network(x, at, self._text, view, control)
        self._stale = self._stale and call.kind == "recache"
        return flow

    def _remember(self, final: Tensor) -> None:
        if self.past is None:
            self._first = final[:, :1]
        self.past = final if self.past is None else torch.cat([self.past, final], 1)[:, -self._recipe.policy.window :]
