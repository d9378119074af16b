"""The published models as rows: what is data in one stream (models-stream.md sections 1 and 2, models-wan.md section 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scope.models.cache import BankPolicy, CachePolicy
from scope.models.ring import RingPolicy
from scope.models.wan import WAN_1_3B, WAN_14B, WanConfig

FOUR_STEPS, TWO_STEPS = (1000, 750, 500, 250), (1000, 750)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that makes one trained model differ from its cousins. Weights are names of published files."""

    base: WanConfig
    policy: CachePolicy
    weights: str
    vace: str = "vace-1.3b"
    lora: str | None = None  # trained with the model and always merged
    text_steps: tuple[int, ...] = FOUR_STEPS
    video_steps: tuple[int, ...] = TWO_STEPS
    shift: float = 5.0
    first_chunk: int | None = None  # latents of a stream's first chunk in text mode, where it differs
    context: Literal["clean", "rebuilt"] = "clean"  # a clean pass after each chunk, or the past read again before each
    recache: bool = False  # a prompt switch reads the latest latents again under the new prompt
    encodes: Literal["normalised", "mean"] = "normalised"  # what the Wan VAE hands to the network
    ring: RingPolicy | None = None  # what stream batch runs over, for the model that was made for it

    @property
    def vace_blocks(self) -> int:
        """How many hint blocks the published module has for this size of network."""
        return 15 if self.vace == "vace-1.3b" else 8


RECIPES: dict[str, Recipe] = {
    "longlive": Recipe(
        WAN_1_3B, CachePolicy(12, 3, 3, protect_sink=True), weights="longlive", lora="longlive-lora", recache=True
    ),
    "streamdiffusionv2": Recipe(
        WAN_1_3B,
        CachePolicy(6, 3, 1),
        weights="streamdiffusionv2",
        text_steps=TWO_STEPS,
        video_steps=(750, 250),
        shift=8.0,
        first_chunk=2,
        encodes="mean",
        ring=RingPolicy(6, 3, adapt=0.2),
    ),
    "krea-realtime-video": Recipe(WAN_14B, CachePolicy(6, 0, 3), weights="krea", vace="vace-14b", context="rebuilt"),
    "reward-forcing": Recipe(WAN_1_3B, CachePolicy(9, 3, 3, on_evict="blend", positions="relative"), weights="reward-forcing"),
    "memflow": Recipe(
        WAN_1_3B,
        CachePolicy(12, 3, 3, protect_sink=True, deferred=True, bank=BankPolicy()),
        weights="memflow",
        lora="memflow-lora",
        recache=True,
    ),
}
