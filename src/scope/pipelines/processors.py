"""What can stand before and after a main pipeline, as rows without torch (docs/decisions/009)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from scope.contract import Options, Params, Spec, choice, knob, option

PATCH, USUAL_INPUT = 14, 518  # the depth net looks at squares of so many pixels; the size it was trained at
LEAST_INPUT = 5 * PATCH
USUAL_DETAIL = 0.4


class ScribbleParams(Params):
    """How the lines look."""

    line_detail: float = knob(USUAL_DETAIL, 0.0, 1.0, "From the great outlines to fine texture.", order=10)
    line_width: float = knob(1.0, 1.0, 8.0, "Width of a line in pixels.", order=11)
    line_invert: bool = choice(False, "White lines on black instead of black on white.", order=12)


class ScribbleOptions(Options):
    """Who draws."""

    drawing: Literal["auto", "edges", "net"] = option(
        "auto",
        "Edges need nothing; the net draws as an artist would, from weights to be fetched; auto: the net on a GPU that has them.",
        ui={"order": 10},
    )


class FlowParams(Params):
    """How motion is shown."""

    flow_reach: float = knob(0.0, 0.0, 64.0, "Pixels per frame that get full colour; 0: as the picture moves.", order=10)


class RifeParams(Params):
    """Nothing to turn: what is made in between follows from the frames."""


class RifeOptions(Options):
    """How many frames are put in between, and by whom."""

    frame_factor: int = option(2, "Frames for each that comes in.", ge=2, le=4, ui={"order": 10, "label": "Frame rate times"})
    interpolation: Literal["auto", "motion", "net"] = option(
        "auto",
        "Motion needs nothing; the net is RIFE's own, from weights to be fetched; auto: the net on a GPU that has them.",
        ui={"order": 11},
    )


def _viewed(value: Any) -> Any:
    """Clients send one `input_size` to every pipeline of a chain, where it may mean a number of frames."""
    return USUAL_INPUT if isinstance(value, int) and value < LEAST_INPUT else value


class DepthParams(Params):
    """How depth is shown."""

    depth_invert: bool = choice(False, "What is near is dark instead of light.", order=10)
    depth_steady: float = knob(0.9, 0.0, 0.99, "How slowly black and white follow the nearest and farthest.", order=11)


class DepthOptions(Options):
    """How much of the picture the net sees."""

    input_size: Annotated[int, BeforeValidator(_viewed)] = option(
        USUAL_INPUT, "Shorter side of what the net looks at, in pixels: smaller is faster.", le=1036, ui={"order": 10}
    )
    fp32: bool = option(False, "Full precision on a GPU.", ui={"order": 11})
    context: int = option(8, "Frames of the past that keep the depth steady.", ge=0, le=31, ui={"order": 12})


class KeyParams(Params):
    """Which colour is keyed."""

    key_hue: float = knob(120.0, 0.0, 360.0, "The colour to be made new: 120 is green, 240 blue.", order=10)
    key_tolerance: float = knob(0.5, 0.0, 1.0, "How far from it a colour may be.", order=11)
    key_invert: bool = choice(False, "Make everything but that colour new.", order=12)
    key_show: bool = choice(False, "Show the mask itself, to set it up.", order=13)


def _row(*, module: str, place: Literal["preprocessor", "postprocessor"] = "preprocessor", **rest: Any) -> Spec:
    """What all of them have in common: frames in, frames out, with the time of the source."""
    load = f"scope.pipelines.{module}:load"
    return Spec(load=load, usage=(place,), modes={"video": {}}, default_mode="video", keeps_time=True, **rest)


SPECS = [
    _row(
        id="scribble",
        name="Scribble",
        description="Draws the outlines of the input video, as a control video for VACE or for its looks.",
        params=ScribbleParams,
        options=ScribbleOptions,
        module="scribble",
        traits={"input_size": 1},
    ),
    _row(
        id="optical-flow",
        name="Optical Flow",
        description="Shows how the input video moves: hue is direction, white is rest.",
        params=FlowParams,
        options=Options,
        module="optical_flow",
        traits={"input_size": 1},
    ),
    _row(
        id="video-depth-anything",
        name="Video Depth Anything",
        description="Estimates how near everything in the input video is: light is near, dark is far.",
        params=DepthParams,
        options=DepthOptions,
        module="video_depth",
        estimated_vram_gb=1.0,
        requires_models=True,
    ),
    _row(
        id="chroma-key",
        name="Chroma Key",
        description="Marks a colour, such as a green screen, to be made new by VACE; the rest of the picture stays.",
        params=KeyParams,
        options=Options,
        module="chroma_key",
        traits={"input_size": 1, "outputs": ["video", "vace_input_masks"]},
    ),
    _row(
        id="rife",
        name="RIFE",
        description="Puts frames between frames: twice the frame rate, or more.",
        params=RifeParams,
        options=RifeOptions,
        module="rife",
        place="postprocessor",
    ),
]
