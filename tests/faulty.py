"""Pipelines that misbehave, as a plugin: `Settings(plugins=("tests.faulty",))`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scope.catalog import hookimpl
from scope.contract import Mode, Options, Params, Rest, Spec, cue, knob
from scope.frame import Frame
from scope.pipelines import framecode

SIDE = 64


class OutOfMemoryError(RuntimeError):
    """Called as torch calls it."""


class FaultyParams(Params):
    level: float = knob(0.0, 0.0, 1.0, "Written into the picture.")
    shots: int = cue(0, "Added to what the picture says it was told once.")
    act: str = cue("", "What to do wrong: raise, oom, freeze, die, hang; late: raise in the second half of a step.")


@dataclass
class Faulty:
    """Draws the frame code: number of chunks, level (or how many shots were heard, when there were any)."""

    frames: int = 1  # per chunk
    took_s: float = 0.0
    always: str = ""  # done at every step
    fails_to_open: str = ""  # the mode, or "again": every time but the first
    opened: int = 0

    def open(self, mode: Mode) -> FaultyStream:
        self.opened += 1
        if self.fails_to_open and self.opened > 1:
            raise RuntimeError("cannot be opened again")
        return FaultyStream(self)


class FaultyStream:
    def __init__(self, faulty: Faulty) -> None:
        self._faulty = faulty
        self._number = self._shots = 0

    def wants(self, params: FaultyParams) -> int:
        return 0

    def reset(self) -> None:
        self._number = 0

    def step(self, params: FaultyParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        _misbehave(self._faulty.always or params.act)
        time.sleep(self._faulty.took_s)
        self._shots += params.shots
        made = [self._draw(params) for _ in range(self._faulty.frames)]
        return made

    def _draw(self, params: FaultyParams) -> Frame:
        picture = np.full((SIDE, SIDE * 2, 3), 128, np.uint8)
        framecode.draw(picture, self._number, self._shots or round(params.level * 255))
        self._number += 1
        return Frame.from_rgb(picture, 0.0)


@dataclass
class Halved(Faulty):
    """Draws beside its next chunk's first half."""

    second_s: float = 0.0

    def open(self, mode: Mode) -> HalvedStream:
        return HalvedStream(self)


class HalvedStream(FaultyStream):
    def __init__(self, faulty: Halved) -> None:
        super().__init__(faulty)
        self._second_s = faulty.second_s

    def begin(self, params: FaultyParams, frames: Sequence[Frame]) -> Rest:
        made = super().step(params, frames)

        def rest() -> Sequence[Frame]:
            _misbehave("raise" if params.act == "late" else "")
            time.sleep(self._second_s)
            return made

        return rest


def _misbehave(act: str) -> None:
    match act:
        case "raise":
            raise ValueError("asked to fail")
        case "oom":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)


def well(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(took_s=0.01)


def bursty(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(frames=12, took_s=1.0)


def empty(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(frames=0, took_s=0.01)


def raising(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(always="raise")


def starving(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(always="oom")


def dying(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(always="die")


def once(options: Options, progress: Callable[[str], None]) -> Faulty:
    return Faulty(took_s=0.01, fails_to_open="again")


def halved(options: Options, progress: Callable[[str], None]) -> Halved:
    return Halved(frames=3, took_s=0.1, second_s=0.1)


def unloadable(options: Options, progress: Callable[[str], None]) -> Faulty:
    raise FileNotFoundError("weights.safetensors is not there")


def slow(options: Options, progress: Callable[[str], None]) -> Faulty:
    progress("Loading slowly...")
    time.sleep(1.0)
    return Faulty(took_s=0.01)


def _row(name: str) -> Spec:
    return Spec(
        id=f"faulty-{name}",
        name=f"Faulty {name}",
        description="Misbehaves for the tests.",
        params=FaultyParams,
        options=Options,
        load=f"{__name__}:{name}",
        modes={"text": {}},
        default_mode="text",
    )


@hookimpl
def pipelines() -> list[Spec]:
    names = ("well", "bursty", "empty", "raising", "starving", "dying", "once", "halved", "unloadable", "slow")
    return [_row(name) for name in names]
