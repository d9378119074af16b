"""Flow against motion that is known, and pictures in between against those that were there."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch

from scope.models.dense_flow import dense_flow, resized, warped
from scope.models.flow_wheel import coloured
from scope.models.in_between import in_between
from scope.models.yuv import Yuv, planes_of, yuv_of
from tests.models.scenes import affine, inner, noise_to_signal, pair, passing_disc, texture

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("turn", "zoom", "x", "y"),
    [(0, 1, 0, 0), (0, 1, 1.5, -0.75), (0, 1, 14, 6), (0.05, 1, 0, 0), (0, 1.06, 0, 0), (-0.04, 0.96, 5, 3)],
)
def test_what_moves_is_found_to_a_quarter_of_a_pixel(turn: float, zoom: float, x: float, y: float) -> None:
    flow = affine(turn, zoom, x, y)
    found = dense_flow(*pair(flow))
    error = inner((found - flow).square().sum(1).sqrt(), 20)
    assert float(error.mean()) < 0.25


def test_halfway_the_flow_is_on_the_grid_of_that_moment() -> None:
    """The disc moves right, the ground left: half-way the disc is in the middle, whatever it was before."""
    found = dense_flow(passing_disc(0.0), passing_disc(1.0), 0.5)
    middle, corner = found[0, 0, 30:50, 46:66], found[0, 0, 10:40, 8:20]
    assert abs(float(middle.mean()) - 6) < 0.5 and abs(float(corner.mean()) + 3) < 0.5


def test_a_lamp_that_is_turned_up_is_no_motion() -> None:
    first, second = pair(affine(0, 1, 2, 1))
    plain, brighter = dense_flow(first, second), dense_flow(first, second * 0.8 + 0.2)
    assert float(inner(plain - brighter).abs().mean()) < 0.1


def test_where_there_is_nothing_to_see_the_surroundings_tell() -> None:
    flow = affine(0, 1, 3, 0)
    first, second = pair(flow)
    for picture, left in ((first, 50), (second, 53)):
        picture[..., 30:46, left : left + 16] = 0.5
    found = dense_flow(first, second)
    assert float((found[0, 0, 34:42, 54:62] - 3).abs().mean()) < 0.5


def test_pictures_of_one_colour_have_no_motion() -> None:
    flat = torch.full((1, 1, 48, 64), 0.5)
    assert float(dense_flow(flat, flat).abs().max()) < 1e-3


def test_a_batch_is_its_pictures_one_by_one() -> None:
    pairs = [pair(affine(0, 1, x, 1), seed) for seed, x in ((3, 2.0), (4, -5.0))]
    before, after = (torch.cat(side) for side in zip(*pairs, strict=True))
    together = dense_flow(before, after)
    for at, (first, second) in enumerate(pairs):
        torch.testing.assert_close(together[at : at + 1], dense_flow(first, second), atol=1e-4, rtol=0)


def test_warping_by_whole_pixels_is_a_shift_and_grows_with_the_picture() -> None:
    picture = texture()
    shifted = warped(picture, affine(0, 1, 3, -2))
    torch.testing.assert_close(shifted[..., 5:-5, 5:-5], picture[..., 3:-7, 8:-2], atol=1e-5, rtol=0)
    large = resized(affine(0, 1, 3, -2), 160, 336)
    assert large.shape[-2:] == (160, 336)
    torch.testing.assert_close(large[0, :, 80, 168], torch.tensor([9.0, -4.0]))


def _yuv(luma: torch.Tensor) -> Yuv:
    half = torch.nn.functional.avg_pool2d(luma, 2)
    return Yuv(luma, torch.cat([half - 0.5, 0.5 - half], 1))


@pytest.mark.parametrize("at", [0.25, 0.5, 0.75])
def test_the_picture_in_between_is_what_was_there(at: float) -> None:
    """Far better than mixing the two: twice as near where one thing hides another, five times as near elsewhere."""
    first, there, second = (_yuv(passing_disc(moment)) for moment in (0.0, at, 1.0))
    made = in_between(first, second, at, grain=1)
    mixed = torch.lerp(first.luma, second.luma, at)
    assert noise_to_signal(inner(made.luma), inner(there.luma)) < 0.55 * noise_to_signal(inner(mixed), inner(there.luma))
    disc = (..., slice(25, 55), slice(41, 71))
    assert noise_to_signal(made.luma[disc], there.luma[disc]) < 0.2 * noise_to_signal(mixed[disc], there.luma[disc])
    half = (..., slice(13, 27), slice(21, 35))
    tinted = torch.lerp(first.chroma, second.chroma, at)
    assert noise_to_signal(made.chroma[half], there.chroma[half]) < 0.3 * noise_to_signal(tinted[half], there.chroma[half])


def test_a_cut_is_not_mixed_but_a_fade_is() -> None:
    one, other = _yuv(texture(5)), _yuv(texture(6))
    assert in_between(one, other, 0.25, 1) is one and in_between(one, other, 0.5, 1) is other
    dark, black = _yuv(texture(5) * 0.7), _yuv(texture(5) * 0)
    assert in_between(one, black, 0.4, 1) is one, "a strobe stays a strobe"
    faded = in_between(one, dark, 0.5, 1)
    assert float((inner(faded.luma) - inner(texture(5) * 0.85)).abs().mean()) < 0.02


def test_the_wheel_is_white_at_rest_and_turns_with_the_direction() -> None:
    """Middlebury's: red to the right, yellow down, blue up, cyan to the left."""

    def colour(degrees: float, speed: float = 1.0) -> list[float]:
        angle = torch.tensor(degrees * pi / 180)
        flow = torch.stack([angle.cos(), angle.sin()])[None, :, None, None] * speed
        shown: list[float] = coloured(flow, 1.0)[0, :, 0, 0].tolist()
        return shown

    assert colour(0, 0) == [1, 1, 1]
    red, down, left, up = (colour(degrees) for degrees in (0, 90, 180, 270))
    assert red[0] == 1 and max(red[1:]) < 0.05
    assert down[0] > 0.9 and down[1] > 0.8 and down[2] < 0.1
    assert left[0] < 0.1 and min(left[1:]) > 0.6
    assert up[2] > 0.9 and up[1] < 0.3
    half = colour(0, 0.5)
    assert half[0] == 1 and abs(half[1] - 0.5) < 0.05
    assert colour(33, 9.0) == pytest.approx(colour(33)), "no faster than the rim"
    around = [colour(degrees) for degrees in range(0, 361, 3)]
    assert max(abs(a - b) for one, two in zip(around, around[1:], strict=False) for a, b in zip(one, two, strict=True)) < 0.25


def test_planes_go_to_light_and_colour_and_back() -> None:
    draw = np.random.default_rng(0)
    planes = tuple(draw.integers(0, 256, size, np.uint8) for size in ((8, 12), (4, 6), (4, 6)))
    yuv = yuv_of(planes, CPU)  # type: ignore[arg-type]
    for plane, again in zip(planes, planes_of(yuv.luma, yuv.chroma), strict=True):
        assert (plane == again).all()
    luma, u, v = planes_of(torch.tensor([[[[0.0, 1.0], [0.5, 2.0]]]]))
    assert luma.tolist() == [[16, 235], [126, 255]] and u.tolist() == v.tolist() == [[128]]
