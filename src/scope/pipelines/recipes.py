"""The published models as rows: what is data in one stream (models-stream.md sections 1 and 2, models-wan.md section 11)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from scope.errors import BadInput
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
    chunks: tuple[int, ...] = (3,)  # lengths of a chunk that the model permits, in latent frames
    ring: RingPolicy | None = None  # what stream batch runs over, for the model that was made for it

    @property
    def vace_blocks(self) -> int:
        """How many hint blocks the published module has for this size of network."""
        return 15 if self.vace == "vace-1.3b" else 8


RECIPES: dict[str, Recipe] = {
    "longlive": Recipe(
        WAN_1_3B,
        CachePolicy(12, 3, 3, protect_sink=True),
        weights="longlive",
        lora="longlive-lora",
        recache=True,
        chunks=(1, 2, 3),
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
        chunks=(1, 2, 3),
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


def shaped(recipe: Recipe, *, chunk: int | None = None, batch: bool = False) -> Recipe:
    """The recipe with another chunk length, or for stream batch. Raises BadInput for what the model does not permit.

    Krea rebuilds a past of three, Reward-Forcing blends as many frames as its sink holds, MemFlow's bank counts chunks of three.
    """
    length = chunk or recipe.policy.chunk
    if batch and (recipe.ring is None or length != 1):
        raise BadInput("schedule 'batch' is for StreamDiffusionV2 with chunks of one; leave it out")
    if length == recipe.policy.chunk:
        return recipe
    if length not in recipe.chunks:
        raise BadInput(f"this model makes chunks of {' or '.join(map(str, recipe.chunks))}, not of {length}; leave 'chunk' out")
    first = recipe.first_chunk if length < (recipe.first_chunk or 0) else None
    return replace(recipe, policy=replace(recipe.policy, chunk=length), first_chunk=first)
