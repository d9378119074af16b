"""The bundled family as a row without torch: it draws on an ordinary processor, with nothing to download."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from scope.contract import Options, PromptItem, Prompts, Spec, choice, option
from scope.pipelines.family import LoraItem, Steps, WanParams

CELL = 64  # pixels of a token: sides are multiples of it
STEPS = (1000, 600)
OPENING = "drifting blue aurora over mountains at night"


def _whole_cells(value: object) -> object:
    """The nearest multiple, so that a client that asks for 512x288 gets a picture."""
    return max(CELL, round(value / CELL) * CELL) if isinstance(value, int | float) else value


SIDE: dict[str, Any] = {"ge": CELL, "le": 1024, "multiple_of": CELL, "ui": {"order": 4, "component": "resolution"}}
Side = Annotated[int, BeforeValidator(_whole_cells)]


class NanoParams(WanParams):
    """The family's, without what no bundled network does; such values are taken and mean nothing."""

    prompts: Prompts = choice((PromptItem(text=OPENING, weight=1.0),), "What to see.", category="input", component="prompts")
    kv_cache_attention_bias: float = 1.0
    vace_enabled: bool = False
    vace_use_input_video: bool = False
    vace_context_scale: float = 1.0
    vace_ref_images: tuple[str, ...] = ()
    vace_mask_image: str | None = None
    first_frame_image: str | None = None
    last_frame_image: str | None = None


class NanoOptions(Options):
    """Load parameters."""

    height: Side = option(192, "Height of the picture.", **SIDE)
    width: Side = option(320, "Width of the picture.", **SIDE)
    base_seed: int = option(42, "Same seed, same video.", ge=0, ui={"order": 5, "label": "Seed"})
    denoising_steps: Steps = option(STEPS, "Timesteps of the denoising.", ui={"order": 6, "component": "denoising_steps"})
    lora_merge_strategy: str = option(
        "permanent_merge", "LoRAs become part of the weights, or run beside them and can be turned."
    )
    loras: tuple[LoraItem, ...] = option((), "LoRAs to load.", max_length=32)
    quantization: Literal["int8"] | None = option(None, "Smaller weights.", ui={"order": 8, "component": "quantization"})


SPEC = Spec(
    id="nano",
    name="Nano",
    description="Our own small model, on this computer's processor, no download; it follows colours more than scenes.",
    frame_rate_hz=24.0,
    params=NanoParams,
    options=NanoOptions,
    load="scope.pipelines.loading:load_nano",
    modes={"text": {}, "video": {"noise_scale": 0.7, "noise_controller": True}},
    default_mode="text",
    supports_prompts=True,
    min_dimension=CELL,
    traits={"supports_lora": True, "supports_vace": False, "supports_cache_management": True},
)
