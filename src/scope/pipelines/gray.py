"""Takes the colour away: BT.601 luma, which is what the Y plane already is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scope.contract import Mode, Options, Params, Spec
from scope.frame import Frame

NEUTRAL_CHROMA = 128


class GrayParams(Params):
    """Nothing to turn."""


class Gray:
    """Its own stream: it remembers nothing."""

    def open(self, mode: Mode) -> Gray:
        return self

    def wants(self, params: GrayParams) -> int:
        return 1

    def step(self, params: GrayParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [_gray(frame) for frame in frames]

    def reset(self) -> None:
        """There is no past."""


def _gray(frame: Frame) -> Frame:
    """The same luma plane, in place, between two neutral ones."""
    y, u, _ = frame.planes()
    neutral = np.full(u.shape, NEUTRAL_CHROMA, np.uint8)
    return Frame(frame.width, frame.height, frame.time_s, planes=(y, neutral, neutral))


def load(options: Options, progress: Callable[[str], None]) -> Gray:
    return Gray()


SPEC = Spec(
    id="gray",
    name="Grayscale",
    description="Removes colour from the input video before the main pipeline sees it.",
    params=GrayParams,
    options=Options,
    load=f"{__name__}:load",
    modes={"video": {}},
    default_mode="video",
    usage=("preprocessor",),
    keeps_time=True,
    traits={"input_size": 1},
)
