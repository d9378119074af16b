"""Moving bars, a frame counter and the prompt's text: every path of a text pipeline, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scope.contract import Mode, Params, Prompts, Size, Spec, choice, cue, knob
from scope.frame import Bytes, Frame, split_i420
from scope.pipelines import framecode
from scope.pipelines.prompt import Blend, PromptCourse, Transition

RATE_HZ = 30.0
# Y, U, V of eight bars: white, yellow, cyan, green, magenta, red, blue, near-black, at 75% of full scale (BT.601)
BARS = np.array(
    [
        (180, 128, 128),
        (162, 44, 142),
        (131, 156, 44),
        (112, 72, 58),
        (84, 184, 198),
        (65, 100, 212),
        (35, 212, 114),
        (28, 128, 128),
    ],
    np.uint8,
)
BOX, INK, GAUGE = 30, 225, 200  # luma of the text's ground, of the text, of the gauge


class PatternParams(Params):
    """What can be turned while it runs."""

    prompts: Prompts = choice((), "Written on the picture.", category="input", component="prompts")
    transition: Transition | None = cue(None, "Go to other prompts over frames, seconds or beats.", component="transition")
    speed: float = knob(0.2, -2.0, 2.0, "Bars pass this many times a second; negative runs backwards.", order=1, label="Speed")
    level: float = knob(0.0, 0.0, 1.0, "A gauge at the bottom, also readable by machines.", order=2, label="Level")
    bars: int = knob(8, 1, 32, "How many bars are on the picture at once.", order=3, label="Bars")


class PatternStream:
    """One running pattern: a phase, a counter and the text shown."""

    def __init__(self, size: Size) -> None:
        self._height, self._width = size.height, size.width
        self._phase, self._number = 0.0, 0
        self._prompts = PromptCourse()

    def reset(self) -> None:
        self._phase, self._number = 0.0, 0
        self._prompts.finish()

    def wants(self, params: PatternParams) -> int:
        return 0

    def step(self, params: PatternParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        self._follow_prompts(params)
        block = np.empty((self._height * 3 // 2, self._width), np.uint8)
        y, u, v = split_i420(block)
        self._draw_bars(y, u, v, params.bars)
        framecode.draw(y, self._number, round(params.level * 255))
        u[: -(-self._height // 32) + 1] = v[: -(-self._height // 32) + 1] = 128  # the code is black and white
        _write(y, u, v, f"{self._number:06d}", self._height // 3, self._height // 8)
        _write(y, u, v, self._caption(), self._height * 5 // 8, self._height // 20)
        y[-max(2, self._height // 40) :, : round(params.level * self._width)] = GAUGE
        frame = Frame.from_i420(block, self._number / RATE_HZ)
        self._phase += params.speed / RATE_HZ
        self._number += 1
        return [frame]

    def _follow_prompts(self, params: PatternParams) -> None:
        now_s, course = self._number / RATE_HZ, self._prompts
        course.tick(now_s)
        with_transition = params.transition is not None and course.shown
        if "prompts" in params.model_fields_set and not with_transition:
            course.hear(params.prompts, now_s)
        if params.transition is not None:
            course.start(params.transition, params.prompts)
        course.step()

    def _caption(self) -> str:
        course = self._prompts
        shown = _words(course.shown)
        return f"{shown} > {_words(course.target)} ({course.share:.0%})" if course.moving else shown

    def _draw_bars(self, y: Bytes, u: Bytes, v: Bytes, bars: int) -> None:
        columns = (np.arange(self._width) / self._width + self._phase) * bars
        colours = BARS[np.floor(columns).astype(int) % len(BARS)]
        y[:] = colours[:, 0]
        u[:], v[:] = colours[::2, 1], colours[::2, 2]


def _words(shown: Blend) -> str:
    if len(shown) == 1:
        return shown[0][0]
    return " + ".join(f"{share:.0%} {text}" for text, share in shown)


def _write(y: Bytes, u: Bytes, v: Bytes, text: str, top: int, size: int) -> None:
    """Centred light text on a dark box, in place."""
    if not text:
        return
    mask = _text_mask(text[:200], max(8, size), y.shape[1] - 16)
    height, width = mask.shape
    left = (y.shape[1] - width) // 2 & ~1
    top &= ~1
    y[top : top + height, left : left + width] = mask[: y.shape[0] - top]
    rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    u[rows, columns] = v[rows, columns] = 128


@lru_cache(maxsize=64)
def _text_mask(text: str, size: int, widest: int) -> Bytes:
    """Luma of one line of text with even sides, cut at `widest`."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 3
    width, height = min(widest, int(right - left) + 2 * pad) // 2 * 2, (size + 2 * pad) // 2 * 2
    image = Image.new("L", (width, height), BOX)
    ImageDraw.Draw(image).text((pad - left, height / 2), text, fill=INK, font=font, anchor="lm")
    return np.asarray(image)


class TestPattern:
    """No weights: every stream is its own."""

    def __init__(self, size: Size) -> None:
        self._size = size

    def open(self, mode: Mode) -> PatternStream:
        return PatternStream(self._size)


def load(options: Size, progress: Callable[[str], None]) -> TestPattern:
    return TestPattern(options)


SPEC = Spec(
    id="test-pattern",
    name="Test pattern",
    description="Moving bars with a frame counter and the prompt's text: shows that everything works, without a model.",
    params=PatternParams,
    options=Size,
    load=f"{__name__}:load",
    modes={"text": {}},
    default_mode="text",
    frame_rate_hz=RATE_HZ,
    supports_prompts=True,
    min_dimension=16,
)
