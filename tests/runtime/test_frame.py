"""The frame: one picture in two layouts that agree, whatever it came from."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from scope.frame import Bytes, Frame

PRIMARIES = {  # RGB -> YUV by BT.601, limited range
    (0, 0, 0): (16, 128, 128),
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34),
    (0, 0, 255): (41, 240, 110),
    (128, 128, 128): (126, 128, 128),
}


def _flat(colour: tuple[int, int, int], height: int = 16, width: int = 16) -> Bytes:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


@pytest.mark.parametrize(("rgb", "yuv"), PRIMARIES.items())
def test_colours_there_and_back(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    frame = Frame.from_rgb(_flat(rgb), 0.0)
    for plane, expected in zip(frame.planes(), yuv, strict=True):
        assert np.abs(plane.astype(int) - expected).max() <= 1
    back = Frame.from_i420(frame.i420(), 0.0).rgb()
    assert np.abs(back.astype(int) - rgb).max() <= 2


@given(height=st.integers(1, 33), width=st.integers(1, 33))
def test_odd_sizes_are_padded_by_repeating_the_edge(height: int, width: int) -> None:
    pixels = np.random.default_rng(height * 40 + width).integers(0, 255, (height, width, 3), np.uint8)
    frame = Frame.from_rgb(pixels, 1.5)
    assert (frame.width, frame.height) == (width + width % 2, height + height % 2) and frame.time_s == 1.5
    assert (frame.rgb()[:height, :width] == pixels).all()
    assert (frame.rgb()[-1] == frame.rgb()[height - 1]).all() and (frame.rgb()[:, -1] == frame.rgb()[:, width - 1]).all()
    assert frame.i420().shape == (frame.height * 3 // 2, frame.width)


@given(half_height=st.integers(1, 20), half_width=st.integers(1, 20), pad=st.integers(0, 3))
def test_planes_and_block_agree_even_when_rows_are_padded(half_height: int, half_width: int, pad: int) -> None:
    rng = np.random.default_rng(half_height * 100 + half_width)
    sizes = [(2 * half_height, 2 * half_width), (half_height, half_width), (half_height, half_width)]
    y, u, v = (rng.integers(0, 255, (rows, columns + pad), np.uint8)[:, :columns] for rows, columns in sizes)
    frame = Frame(2 * half_width, 2 * half_height, 0.0, planes=(y, u, v))
    out = np.zeros(frame.i420_bytes, np.uint8)
    frame.write_i420(out)
    assert (out == np.concatenate([y.ravel(), u.ravel(), v.ravel()])).all()
    assert (frame.i420().ravel() == out).all()
    again = Frame.from_i420(frame.i420(), 0.0)
    assert all((a == b).all() for a, b in zip(again.planes(), (y, u, v), strict=True))


@pytest.mark.parametrize("layout", ["yuv420p", "rgb24", "bgr24", "rgba", "yuv422p", "yuv444p", "nv12", "yuvj420p", "gray"])
@pytest.mark.parametrize("size", [(64, 48), (50, 34), (33, 17)])
def test_pictures_of_every_usual_layout_arrive_with_their_colours(layout: str, size: tuple[int, int]) -> None:
    width, height = size
    colour = (200, 200, 200) if layout == "gray" else (200, 60, 30)
    picture = VideoFrame.from_ndarray(_flat(colour, height, width), format="rgb24")
    frame = Frame.from_av(picture.reformat(format=layout) if layout != "rgb24" else picture, 2.0)
    assert (frame.width, frame.height) == (width + width % 2, height + height % 2) and frame.time_s == 2.0
    error = np.abs(frame.rgb()[2:-2, 2:-2].astype(int) - colour)
    assert error.max() <= 6


@pytest.mark.parametrize("height", [36, 34, 270, 2])
def test_a_picture_goes_to_libav_and_back_without_a_change(height: int) -> None:
    frame = Frame.from_rgb(np.random.default_rng(2).integers(0, 255, (height, 66, 3), np.uint8), 0.0)
    again = Frame.from_av(frame.to_av(), 0.0)
    assert (again.i420() == frame.i420()).all()


def test_a_copy_shares_nothing() -> None:
    frame = Frame.from_i420(np.full((6, 4), 9, np.uint8), 4.5)
    frame.index = 3
    copy = frame.copied()
    frame.i420()[:] = 0
    assert (copy.i420() == 9).all() and (copy.index, copy.time_s) == (3, 4.5)
