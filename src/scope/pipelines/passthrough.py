"""Gives back what it gets: the yardstick for everything that is not a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scope.contract import Mode, Options, Params, Spec
from scope.frame import Frame


class PassthroughParams(Params):
    """Nothing of its own to turn; the fast lane still works on its picture."""


class Passthrough:
    """Its own stream: it remembers nothing. Frames are taken one at a time, whatever `input_size` the schema shows."""

    def open(self, mode: Mode) -> Passthrough:
        return self

    def wants(self, params: PassthroughParams) -> int:
        return 1

    def step(self, params: PassthroughParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return frames

    def reset(self) -> None:
        """There is no past."""


def load(options: Options, progress: Callable[[str], None]) -> Passthrough:
    return Passthrough()


SPEC = Spec(
    id="passthrough",
    name="Passthrough",
    description="Shows the video it is given, unchanged: for testing the way of a picture, and for the effects alone.",
    params=PassthroughParams,
    options=Options,
    load=f"{__name__}:load",
    modes={"video": {}},
    default_mode="video",
    keeps_time=True,
    traits={"input_size": 4},
)
