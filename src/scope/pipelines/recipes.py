"""The published models as rows: what is data in one stream (models-stream.md sections 1 and 2, models-wan.md section 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scope.models.cache import BankPolicy, CachePolicy
from scope.models.wan import WAN_1_3B, WAN_14B, WanConfig

FOUR_STEPS, TWO_STEPS = (1000, 750, 500, 250), (1000, 750)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that makes one trained model differ from its cousins."""

    base: WanConfig
    policy: CachePolicy
    text_steps: tuple[int, ...] = FOUR_STEPS
    video_steps: tuple[int, ...] = TWO_STEPS
    shift: float = 5.0
    first_chunk: int | None = None  # latents of a stream's first chunk in text mode, where it differs
    context: Literal["clean", "rebuilt"] = "clean"  # a clean pass after each chunk, or the past read again before each
    recache: bool = False  # a prompt switch reads the latest latents again under the new prompt


RECIPES: dict[str, Recipe] = {
    "longlive": Recipe(WAN_1_3B, CachePolicy(12, 3, 3, protect_sink=True), recache=True),
    "streamdiffusionv2": Recipe(
        WAN_1_3B, CachePolicy(6, 3, 1), text_steps=TWO_STEPS, video_steps=(750, 250), shift=8.0, first_chunk=2
    ),
    "krea-realtime-video": Recipe(WAN_14B, CachePolicy(6, 0, 3), context="rebuilt"),
    "reward-forcing": Recipe(WAN_1_3B, CachePolicy(9, 3, 3, on_evict="blend", positions="relative")),
    "memflow": Recipe(WAN_1_3B, CachePolicy(12, 3, 3, protect_sink=True, deferred=True, bank=BankPolicy()), recache=True),
}
