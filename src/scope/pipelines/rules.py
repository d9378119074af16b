"""Where the originals' choices can be argued with, as options (docs/decisions/006, 007), and where noise comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from scope.models.blend import RIGHT as ARCS
from scope.models.blend import Rules as BlendRules
from scope.models.codec import RIGHT
from scope.models.codec import Rules as CodecRules


@dataclass(frozen=True, slots=True)
class StreamRules:
    """The defaults are ours; the tests against recordings choose the others.

    noise: "felt": the user's scale, swayed by motion; "recorded": nine tenths the controller's own; "recursive": the original
        StreamDiffusionV2's, which moves a tenth from its value before.
    later_steps: video mode: later steps keep their share of the first ("scaled"), or may be noisier than it ("kept").
    bank: MemFlow's frames are chosen by the new prompt ("seeing"), or without one in the pass after a switch ("blind").
    advance: by the "frames" made, or by one "chunk" also after the longer first one (Reward-Forcing).
    vace: its two videos have a codec state each ("own") and its attention no unmasked zero keys, or as recorded ("shared").
    on_lora: a moved LoRA scale "goes_on" with the shot, or "cuts" where the cache is managed.
    """

    noise: Literal["felt", "recorded", "recursive"] = "felt"
    later_steps: Literal["scaled", "kept"] = "scaled"
    codec: CodecRules = field(default=RIGHT)
    prompts: BlendRules = field(default=ARCS)
    bank: Literal["seeing", "blind"] = "seeing"
    advance: Literal["frames", "chunk"] = "frames"
    vace: Literal["own", "shared"] = "own"
    on_lora: Literal["goes_on", "cuts"] = "goes_on"


Draw = Callable[[Sequence[int]], Tensor]  # the next noise of a chunk, of that shape
Noises = Callable[[int], Draw]  # for the chunk that begins at a latent frame


@dataclass(frozen=True, slots=True)
class Seeded:
    """Noise from `seed` plus the chunk's first frame, drawn on the CPU in float32: it means the same everywhere."""

    seed: int

    def __call__(self, start: int) -> Draw:
        source = torch.Generator().manual_seed(self.seed + start)
        return lambda shape: torch.randn(*shape, generator=source)
