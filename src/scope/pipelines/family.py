"""The Wan2.1 family as rows without torch: schemas, sizes, defaults. `recipes.py` has what the models differ in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from scope.contract import Mode, Params, Prompts, Size, Spec, choice, cue, knob, option
from scope.pipelines.prompt import Transition

FOUR_STEPS, TWO_STEPS = (1000, 750, 500, 250), (1000, 750)
ScheduleName = Literal["sequential", "batch"]
MERGE, BESIDE = "permanent_merge", "runtime_peft"  # what may become of a LoRA, in clients' words
Images = Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=16)]


def _falling(steps: tuple[int, ...]) -> tuple[int, ...]:
    if not steps or any(b >= a for a, b in pairwise(steps)):
        raise ValueError("give at least one step, each lower than the one before")
    return steps


Steps = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], AfterValidator(_falling)]
CHUNK = "Latent frames per chunk, four pictures each: fewer are answered sooner, more are made faster; left out: as trained."
SCHEDULE = "A chunk takes all its steps in a row, or several chunks take a step each in one pass: more pictures, later."
PREVIEW = "Without its published weights, or without a device that can hold them, it runs as a small preview."


class LoraScale(BaseModel):
    """A LoRA by the path it was loaded under, and its new strength."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    path: str = Field(max_length=4096)
    scale: float = Field(1.0, ge=-10, le=10)


class LoraItem(LoraScale):
    """A LoRA to load (contract 6.2). A merge mode we do not know means the default one."""

    merge_mode: str | None = None


class WanParams(Params):
    """Live parameters of the family (contract 4)."""

    prompts: Prompts = choice((), "What to see.", category="input", component="prompts")
    prompt_interpolation_method: Literal["linear", "slerp"] = choice("linear", "How several prompts are mixed.", order=2)
    transition: Transition | None = cue(None, "Go to other prompts over chunks, seconds or beats.", component="transition")
    denoising_step_list: Steps | None = choice(None, "Timesteps of the denoising, falling.", order=6, component="denoising_steps")
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
    base_seed: Annotated[int, Field(ge=0)] | None = choice(None, "Another seed, another video: a cut.", at_load=True)
    kv_cache_attention_bias: float = knob(0.3, 0.01, 1.0, "Attention to the past; 1 is all of it (Krea only).", order=8)
    manage_cache: bool = choice(True, "Let changes reset the past where that is wise.", order=5, component="cache")
    lora_scales: tuple[LoraScale, ...] | None = cue(None, "New strengths of the LoRAs that run beside the weights.")
    vace_enabled: bool = choice(True, "Let references and control video steer, where VACE is loaded.", component="vace")
    vace_use_input_video: bool = choice(
        True, "With VACE: the input video steers the picture instead of being painted over.", component="vace", modes=["video"]
    )
    vace_context_scale: float = knob(1.0, 0.0, 2.0, "Strength of visual control.", order=1, component="vace")
    vace_ref_images: Images = choice((), "Images whose style or character is taken, until others are given.")
    vace_mask_image: str | None = choice(None, "White: made new. Black: the control video stays.")
    first_frame_image: str | None = cue(None, "The next chunk begins with this image.")
    last_frame_image: str | None = cue(None, "The next chunk ends with this image.")


class WanOptions(Size):
    """Load parameters of the family (contract 2.3)."""

    height: int = option(320, "Height of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    width: int = option(576, "Width of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    vace_enabled: bool | None = option(None, "Load VACE, for visual control; left out: where its weights are.")
    lora_merge_strategy: str = option(
        MERGE, "LoRAs become part of the weights, or run beside them and can be turned.", ui={"order": 2, "component": "lora"}
    )
    loras: tuple[LoraItem, ...] = option((), "LoRAs to load.", max_length=32)
    weights: Literal["auto", "official", "preview", "random"] = option(
        "auto",
        "Published weights, a small preview, or random ones to measure with; auto: published where they are and fit.",
        ui={"order": 9},
    )
    random_size: Literal["small", "full"] = option("small", "Size of a network with random weights.", ui={"order": 10})
    text_encoder: Literal["auto", "gpu", "cpu"] = option("auto", "Where prompts are encoded.", ui={"order": 11})
    vae_type: Literal["wan", "lightvae", "tae", "lighttae"] = option("wan", "Which decoder.", ui={"order": 3, "label": "VAE"})
    base_seed: int = option(42, "Same seed, same video.", ge=0, ui={"order": 5, "label": "Seed"})
    denoising_steps: Steps = option(FOUR_STEPS, "Timesteps of the denoising.", ui={"order": 6, "component": "denoising_steps"})
    quantization: Literal["fp8_e4m3fn", "int8"] | None = option(
        None, "Smaller and faster weights.", ui={"order": 8, "component": "quantization"}
    )
    overlap: bool | None = option(
        None, "Decode a chunk beside the next one's denoising; left out: with a GPU or two cores.", ui={"order": 12}
    )
    chunk: int | None = Field(None, ge=1, le=3, description=CHUNK)  # shown where the model permits another than its own
    schedule: ScheduleName = Field("sequential", description=SCHEDULE)


class LongLiveOptions(WanOptions):
    """The row that also makes shorter chunks."""

    chunk: int | None = option(None, CHUNK, ge=1, le=3, ui={"order": 13})


class SquareOptions(WanOptions):
    """The rows whose default picture is square."""

    height: int = option(512, "Height of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})
    width: int = option(512, "Width of the picture.", ge=16, le=4096, ui={"order": 4, "component": "resolution"})


class StreamOptions(SquareOptions):
    """The row that also makes longer chunks, and several at once."""

    chunk: int | None = option(None, CHUNK, ge=1, le=3, ui={"order": 13})
    schedule: ScheduleName = option("sequential", SCHEDULE, ui={"order": 14})


FAMILY: Mapping[str, Any] = {
    "supports_lora": True,
    "supports_vace": True,
    "supports_cache_management": True,
    "supports_quantization": True,
    "inputs": ["video", "vace_input_frames", "vace_input_masks"],
    "default_temporal_interpolation_method": "slerp",
    "preview": PREVIEW,
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
        load=f"scope.pipelines.loading:{id.replace('-', '_')}",
        modes=modes or {"text": {}, "video": VIDEO},
        default_mode=default_mode,
        supports_prompts=True,
        estimated_vram_gb=vram_gb,
        requires_models=True,
        min_dimension=16,
        traits={**FAMILY, **(traits or {})},
    )


SPECS = [
    _row(
        "longlive",
        "LongLive",
        "Wan2.1 1.3B, long and stable, made for prompts that change.",
        20.0,
        options=LongLiveOptions,
    ),
    _row(
        "streamdiffusionv2",
        "StreamDiffusionV2",
        "Wan2.1 1.3B, one latent frame at a time: the quickest to follow a camera.",
        20.0,
        options=StreamOptions,
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
