"""Pictures in and out where the recordings do not reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scope.errors import BadInput
from scope.frame import Frame, split_i420
from scope.models.pictures import Picture, i420, pick, to_bytes, to_unit, to_video


def picture(value: int, height: int = 8, width: int = 8) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def test_pick_rounds_half_to_even() -> None:
    assert pick(12, 13) == [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11]
    assert pick(4, 3) == [0, 2, 3]
    assert pick(1, 4) == [0, 0, 0, 0]
    assert pick(3, 3) == [0, 1, 2]


def test_sizes_may_differ_from_picture_to_picture() -> None:
    video = to_video([picture(0, 4, 6), picture(255)], frames=2, height=8, width=8)
    assert video.shape == (1, 3, 2, 8, 8)
    assert video[:, :, 0].eq(-1).all() and video[:, :, 1].eq(1).all()


def test_read_only_pictures_are_taken_and_left_alone() -> None:
    one = picture(100)
    one.setflags(write=False)
    to_video([one, one], frames=2, height=8, width=8)
    to_video([one, picture(1, 4, 4)], frames=2, height=8, width=8)
    assert (one == 100).all()


def test_bytes_come_back_as_they_went_in() -> None:
    pictures = [np.arange(192, dtype=np.uint8).reshape(8, 8, 3), picture(255)]
    video = to_video(pictures, frames=2, height=8, width=8)
    assert (to_bytes(video.transpose(1, 2)) == np.stack(pictures)).all()


def test_out_of_range_is_clamped() -> None:
    assert to_unit(torch.full((1, 1, 3, 2, 2), 7.0)).eq(1).all()
    assert (to_bytes(torch.full((1, 1, 3, 2, 2), -7.0)) == 0).all()


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(BadInput):
        to_video([], frames=2, height=8, width=8)
    with pytest.raises(BadInput):
        to_unit(torch.zeros(2, 1, 3, 2, 2))


def test_i420_is_what_a_codec_would_have_made() -> None:
    """Against libav's own conversion, on a picture whose colours change slowly."""
    y, x = np.mgrid[0:32, 0:48]
    picture = np.stack([x * 5, y * 7, 255 - x * 3], 2).astype(np.uint8)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None, None].float() / 127.5 - 1
    ours = i420(pixels)[0].numpy().astype(int)
    assert ours.shape == (48, 48)
    assert np.abs(ours - Frame.from_rgb(picture, 0.0).i420()).max() <= 2


PLAIN = [((1, 1, 1), (235, 128, 128)), ((-1, -1, -1), (16, 128, 128)), ((1, -1, -1), (81, 90, 240))]


@pytest.mark.parametrize(("colour", "yuv"), PLAIN)
def test_i420_of_plain_colours(colour: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    block = i420(torch.tensor(colour).float()[None, None, :, None, None].expand(1, 2, 3, 16, 16)).numpy()
    assert block.shape == (2, 24, 16)
    assert tuple(int(part.flat[0]) for part in split_i420(block[1])) == yuv
