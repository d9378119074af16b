"""The Wan2.1 family as rows without torch: schemas, sizes, defaults. `recipes.py` has what the models differ in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from scope.contract import Mode, Params, Prompts, Size, Spec, choice, cue, knob, option
from scope.pipelines.prompt import Transition

FOUR_STEPS, TWO_STEPS = (1000, 750, 500, 250), (1000, 750)
REASON = (
    "its weights cannot be downloaded by this version yet; the load parameter weights='random' runs it untrained, "
    "to measure speed. Try test-pattern or passthrough"
)


class WanParams(Params):
    """Live parameters of the family (contract 4)."""

    prompts: Prompts = choice((), "What to see.", category="input", component="prompts")
    prompt_interpolation_method: Literal["linear", "slerp"] = choice("linear", "How several prompts are mixed.", order=2)
    transition: Transition | None = cue(None, "Go to other prompts over a number of chunks.", component="transition")
    denoising_step_list: tuple[Annotated[int, Field(ge=1, le=1000)], ...] | None = choice(
        None, "Timesteps of the denoising, falling.", order=6, component="denoising_steps"
    )
    noise_scale: float = knob(
        0.7, 0.0, 1.0, "How far the input video is pushed towards noise.", order=7, component="noise", modes=["video"]
    )
    noise_controller: bool = choice(
        True,
        "A little less noise when the picture moves, a little more when it rests.",
        order=7,
        component="noise",
        modes=["video"],
    )
    kv_cache_attention_bias: float = knob(0.3, 0.01, 1.0, "Attention to the past; 1 is all of it (Krea only).", order=8)
    manage_cache: bool = choice(True, "Let changes reset the past where that is wise.", order=5, component="cache")

    @field_validator("denoising_step_list")
    @classmethod
    def _falling(cls, steps: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if steps is not None and (not steps or any(b >= a for a, b in pairwise(steps))):
            raise ValueError("give at least one step, each lower than the one before")
        return steps


class WanOptions(Size):
    """Load parameters of the family (contract 2.3)."""

    height: int = option(320, "Height of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    width: int = option(576, "Width of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    vace_context_scale: float = option(1.0, "Strength of visual control.", ge=0.0, le=2.0, ui={"order": 1, "component": "vace"})
    weights: Literal["auto", "random"] = option("auto", "Trained weights, or random ones to measure with.", ui={"order": 9})
    random_size: Literal["small", "full"] = option("small", "Size of a network with random weights.", ui={"order": 10})
    vae_type: Literal["wan", "lightvae", "tae", "lighttae"] = option("wan", "Which decoder.", ui={"order": 3, "label": "VAE"})
    base_seed: int = option(42, "Same seed, same video.", ge=0, ui={"order": 5, "label": "Seed"})
    denoising_steps: tuple[int, ...] = option(
        FOUR_STEPS, "Timesteps of the denoising.", ui={"order": 6, "component": "denoising_steps"}
    )
    quantization: Literal["fp8_e4m3fn"] | None = option(
        None, "Smaller and faster weights.", ui={"order": 8, "component": "quantization"}
    )


class SquareOptions(WanOptions):
    """The rows whose default picture is square."""

    height: int = option(512, "Height of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    width: int = option(512, "Width of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})


FAMILY: Mapping[str, Any] = {
    "supports_lora": True,
    "supports_vace": True,
    "supports_cache_management": True,
    "supports_quantization": True,
    "inputs": ["video", "vace_input_frames", "vace_input_masks"],
    "default_temporal_interpolation_method": "slerp",
}
VIDEO: Mapping[str, Any] = {
    "height": 512,
    "width": 512,
    "denoising_steps": TWO_STEPS,
    "noise_scale": 0.7,
    "noise_controller": True,
}


def _row(
    id: str,
    name: str,
    description: str,
    vram_gb: float,
    *,
    options: type[WanOptions] = WanOptions,
    default_mode: Mode = "text",
    modes: Mapping[Mode, Mapping[str, Any]] | None = None,
    traits: Mapping[str, Any] | None = None,
) -> Spec:
    return Spec(
        id=id,
        name=name,
        description=description,
        params=WanParams,
        options=options,
        load=f"scope.pipelines.parts:{id.replace('-', '_')}",
        modes=modes or {"text": {}, "video": VIDEO},
        default_mode=default_mode,
        supports_prompts=True,
        unavailable=REASON,
        estimated_vram_gb=vram_gb,
        requires_models=True,
        min_dimension=16,
        traits={**FAMILY, **(traits or {})},
    )


SPECS = [
    _row("longlive", "LongLive", "Wan2.1 1.3B, long and stable, made for prompts that change.", 20.0),
    _row(
        "streamdiffusionv2",
        "StreamDiffusionV2",
        "Wan2.1 1.3B, one latent frame at a time: the quickest to follow a camera.",
        20.0,
        options=SquareOptions,
        default_mode="video",
        modes={
            "video": {**VIDEO, "denoising_steps": (750, 250), "input_size": 4},
            "text": {"height": 512, "width": 512, "denoising_steps": TWO_STEPS},
        },
    ),
    _row(
        "krea-realtime-video",
        "Krea Realtime Video",
        "Wan2.1 14B: the finest picture, for large GPUs.",
        32.0,
        options=SquareOptions,
        modes={"text": {}, "video": {**VIDEO, "height": 256, "width": 256}},
        traits={
            "supports_kv_cache_bias": True,
            "recommended_quantization_vram_threshold": 40.0,
            "default_temporal_interpolation_method": "linear",
            "default_temporal_interpolation_steps": 4,
        },
    ),
    _row("reward-forcing", "RewardForcing", "Wan2.1 1.3B, trained for lively motion.", 20.0),
    _row("memflow", "MemFlow", "Wan2.1 1.3B with a memory bank.", 20.0),
]
