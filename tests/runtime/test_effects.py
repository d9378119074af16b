"""The fast lane, numerically: neutral is free, and each effect does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.frame import Frame
from scope.runtime.effects import EffectParams, apply


def _frame(y: int = 100, u: int = 90, v: int = 200, width: int = 6, height: int = 4) -> Frame:
    planes = [np.full((height, width), y, np.uint8)]
    planes += [np.full((height // 2, width // 2), value, np.uint8) for value in (u, v)]
    frame = Frame(width, height, 3.5, planes=(planes[0], planes[1], planes[2]))
    frame.index = 17
    return frame


def _pixel(frame: Frame) -> tuple[int, int, int]:
    y, u, v = frame.planes()
    return int(y[0, 0]), int(u[0, 0]), int(v[0, 0])


@pytest.mark.parametrize("params", [EffectParams(), EffectParams(brightness=0.0, mirror=False)])
def test_neutral_gives_the_same_object(params: EffectParams) -> None:
    frame = _frame()
    assert apply(frame, params) is frame


@pytest.mark.parametrize(
    ("params", "pixel"),
    [
        (EffectParams(brightness=1.0), (210, 90, 200)),  # 100 + 219 / 2, rounded
        (EffectParams(brightness=-1.0), (16, 90, 200)),
        (EffectParams(contrast=0.0), (126, 90, 200)),
        (EffectParams(contrast=2.0), (74, 90, 200)),
        (EffectParams(contrast=2.0, brightness=0.5), (129, 90, 200)),
        (EffectParams(saturation=0.0), (100, 128, 128)),
        (EffectParams(saturation=2.0), (100, 52, 240)),
        (EffectParams(mirror=True), (100, 90, 200)),
    ],
)
def test_each_effect_in_numbers(params: EffectParams, pixel: tuple[int, int, int]) -> None:
    assert _pixel(apply(_frame(), params)) == pixel


def test_mirror_swaps_left_and_right_and_twice_is_nothing() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (8, 10, 3), np.uint8)
    frame = Frame.from_rgb(pixels, 0.0)
    once = apply(frame, EffectParams(mirror=True))
    assert all((new == old[:, ::-1]).all() for new, old in zip(once.planes(), frame.planes(), strict=True))
    assert (apply(once, EffectParams(mirror=True)).i420() == frame.i420()).all()


@given(
    brightness=st.floats(-1, 1),
    contrast=st.floats(0, 2),
    saturation=st.floats(0, 2),
    mirror=st.booleans(),
    luma=st.integers(0, 255),
)
def test_the_result_is_legal_video_and_keeps_time_number_and_size(
    brightness: float, contrast: float, saturation: float, mirror: bool, luma: int
) -> None:
    frame = _frame(y=max(16, min(235, luma)))
    before = frame.copied().i420()
    shown = apply(frame, EffectParams(brightness=brightness, contrast=contrast, saturation=saturation, mirror=mirror))
    y, u, v = shown.planes()
    assert y.min() >= 16 and y.max() <= 235 and min(u.min(), v.min()) >= 16 and max(u.max(), v.max()) <= 240
    assert (shown.time_s, shown.index, shown.width, shown.height) == (3.5, 17, 6, 4)
    assert (frame.i420() == before).all()  # the picture it came from is untouched
