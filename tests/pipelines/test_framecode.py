"""The frame code survives what a codec and a page do to a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.pipelines import framecode


@given(
    number=st.integers(0, framecode.NUMBERS - 1),
    level=st.integers(0, 255),
    size=st.sampled_from([(320, 576), (512, 512), (180, 320)]),
)
def test_what_is_drawn_is_read(number: int, level: int, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 128, np.uint8)
    framecode.draw(picture, number, level)
    assert framecode.read(picture[..., 1]) == (number, level)


def test_it_survives_scaling_and_noise() -> None:
    rng = np.random.default_rng(1)
    picture = np.full((512, 512), 90, np.uint8)
    framecode.draw(picture, 123_456, 77)
    half = picture.reshape(256, 2, 256, 2).mean((1, 3))
    assert framecode.read(np.clip(half + rng.normal(0, 20, half.shape), 0, 255)) == (123_456, 77)


@pytest.mark.parametrize("fill", [0, 128, 255])
def test_a_picture_without_a_code_reads_as_none(fill: int) -> None:
    assert framecode.read(np.full((320, 576), fill, np.uint8)) is None


def test_a_damaged_code_reads_as_none() -> None:
    picture = np.full((320, 576), 90, np.uint8)
    framecode.draw(picture, 5, 5)
    picture[:10, 28:44] = 255 - picture[:10, 28:44]
    assert framecode.read(picture) is None
