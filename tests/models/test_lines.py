"""Lines where something ends, none where nothing does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scope.models.blur import blur, filtered, gaussian, slopes
from scope.models.lines import draw_lines


def step(left: float = 0.2, right: float = 0.8, at: int = 32) -> Tensor:
    picture = torch.full((1, 1, 48, 64), left)
    picture[..., at:] = right
    return picture


def test_an_edge_is_one_line_and_a_plain_is_none() -> None:
    lines = draw_lines(step())
    assert float(lines[0, 0, 10:-10, 30:34].amax(1).min()) > 0.9
    assert float(lines[..., :26].max()) < 0.05 and float(lines[..., 38:].max()) < 0.05
    assert float(draw_lines(torch.full((1, 1, 48, 64), 0.3)).max()) == 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("left", "right"), [(0.2, 0.8), (0.8, 0.2), (0.05, 0.15)])
def test_direction_and_brightness_make_no_difference(left: float, right: float, turned: bool) -> None:
    picture = step(left, right)
    lines = draw_lines(picture.transpose(2, 3) if turned else picture)
    lines = lines.transpose(2, 3) if turned else lines
    assert 0.7 < float(lines[0, 0, 12:-12].sum(1).mean()) < 4, "a line a pixel or two wide"


def test_a_slanted_edge_has_no_gaps() -> None:
    down, right = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    for slope in (0.3, 0.6, 1.0, 1.7):
        picture = (0.2 + 0.6 * ((right - 20 - slope * (down - 24)) > 0).float())[None, None]
        lines = draw_lines(picture)[0, 0, 12:-12]
        assert float(lines.amax(1).min()) > 0.4, slope


def test_width_and_detail_are_felt() -> None:
    thin, wide, wider = (float(draw_lines(step(), width=width)[0, 0, 12:-12].sum(1).mean()) for width in (1.0, 4.0, 8.0))
    assert thin < 3 and 3 < wide < 6 and 7 < wider < 10
    draw = torch.Generator().manual_seed(0)
    noisy = step() + 0.3 * blur(torch.randn(1, 1, 48, 64, generator=draw), 1.0)
    few, many = (float(draw_lines(noisy, detail).mean()) for detail in (0.0, 1.0))
    assert many > 1.5 * few


def test_odd_and_tiny_sizes() -> None:
    for size in ((2, 2), (17, 23), (5, 60)):
        assert draw_lines(torch.rand(2, 1, *size)).shape == (2, 1, *size)


def test_a_filter_is_the_sum_it_says() -> None:
    draw = torch.Generator().manual_seed(1)
    picture, weights = torch.rand(2, 3, 9, 11, generator=draw), gaussian(1.3)
    kernel = torch.tensor(weights)
    kernel = (kernel[:, None] * kernel[None])[None, None].expand(3, 1, -1, -1)
    wide = torch.nn.functional.pad(picture, (len(weights) // 2,) * 4, mode="replicate")
    torch.testing.assert_close(filtered(picture, weights), torch.nn.functional.conv2d(wide, kernel, groups=3))
    assert sum(weights) == pytest.approx(1) and blur(picture, 0) is picture


def test_slopes_are_the_differences_per_pixel() -> None:
    down, right = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    x, y = slopes((3 * right - 2 * down)[None, None])
    assert (x[..., 1:-1] == 3).all() and (y[..., 1:-1, :] == -2).all()
