"""What stands before and after: the frames it gives for the frames it gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from scope import catalog
from scope.contract import Options
from scope.frame import Frame
from scope.models.dense_flow import warped
from scope.models.yuv import planes_of
from scope.pipelines import chroma_key, optical_flow, rife, scribble
from scope.pipelines.processors import (
    DepthOptions,
    FlowParams,
    KeyParams,
    RifeOptions,
    RifeParams,
    ScribbleOptions,
    ScribbleParams,
)
from scope.pipelines.rife import InterpolationStream
from tests.models.scenes import affine, texture

SIZE = (80, 112)
ALL = [scribble, optical_flow, chroma_key]


def quiet(text: str) -> None:
    """Nobody listens."""


def moving(number: int, x: float = 2.0, seed: int = 0) -> Frame:
    """The same texture, further to the right with every number."""
    luma = warped(texture(seed, SIZE), affine(0, 1, -x * number, 0, SIZE))
    return Frame(SIZE[1], SIZE[0], number / 30, planes=planes_of(luma))


def stream_of(module: Any) -> tuple[Any, Any]:
    spec = next(spec for spec in catalog.load().specs.values() if spec.load == f"{module.__name__}:load")
    return module.load(spec.options(), quiet).open("video"), spec.params()


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.__name__)
def test_a_frame_for_a_frame_of_the_same_size_and_time_and_the_source_untouched(module: Any) -> None:
    running, params = stream_of(module)
    for number in range(3):
        source = moving(number)
        before = source.i420().copy()
        assert running.wants(params) == 1
        (made,) = running.step(params, [source])
        assert (made.width, made.height, made.time_s) == (112, 80, number / 30)
        assert made.i420().shape == (120, 112) and (source.i420() == before).all()


@pytest.mark.parametrize("module", [scribble, optical_flow], ids=lambda module: module.__name__)
def test_a_mask_goes_along(module: Any) -> None:
    running, params = stream_of(module)
    source = moving(0)
    source.mask = np.full((4, 4), 255, np.uint8)
    assert running.step(params, [source])[0].mask is source.mask


@pytest.mark.parametrize("module", [*ALL, rife], ids=lambda module: module.__name__)
def test_a_picture_of_another_size_may_come_at_any_time(module: Any) -> None:
    running, params = stream_of(module)
    for height, width in ((80, 112), (34, 46), (2, 2), (80, 112)):
        made = running.step(params, [Frame.from_rgb(np.zeros((height, width, 3), np.uint8), 0.0)])
        assert [(frame.height, frame.width) for frame in made] == [(height, width)]


def test_scribble_draws_black_on_white_or_white_on_black() -> None:
    running = scribble.load(ScribbleOptions(), quiet).open("video")
    picture = np.full((80, 112, 3), 60, np.uint8)
    picture[:, 56:] = 200
    source = Frame.from_rgb(picture, 0.0)
    drawn, inverted = (running.step(ScribbleParams(line_invert=flag), [source])[0] for flag in (False, True))
    light, dark = drawn.planes()[0], inverted.planes()[0]
    assert light[20:60, 54:58].min(1).max() < 60 and (light[:, :50] > 230).all()
    assert (np.abs(light.astype(int) + dark - 251) <= 1).all()
    assert (drawn.planes()[1] == 128).all()


def test_flow_is_white_at_first_and_at_rest_and_red_to_the_right() -> None:
    running = optical_flow.load(Options(), quiet).open("video")
    first = running.step(FlowParams(), [moving(0)])[0]
    assert first.rgb().min() > 245
    still = running.step(FlowParams(), [moving(0)])[0]
    assert still.rgb()[10:-10, 10:-10].min() > 245, "noise of the arithmetic is not shown as motion"
    r, g, b = running.step(FlowParams(), [moving(2)])[0].rgb()[20:60, 20:90].reshape(-1, 3).mean(0)
    assert r > 240 and max(g, b) < 60
    running.reset()
    assert running.step(FlowParams(), [moving(9)])[0].rgb().min() > 245


def test_a_reach_that_was_set_is_kept_and_the_automatic_one_sinks_slowly() -> None:
    running = optical_flow.load(Options(), quiet).open("video")

    def redness(params: FlowParams, numbers: Sequence[float]) -> list[float]:
        frames = [running.step(params, [moving(number)])[0] for number in numbers]  # type: ignore[arg-type]
        return [255 - float(frame.rgb()[20:60, 20:90, 1:].mean()) for frame in frames]

    pale = redness(FlowParams(flow_reach=16), [0, 2])[1]  # 4 pixels of 16
    assert 40 < pale < 90
    running.reset()
    fast, slow, slower = redness(FlowParams(), [0, 3, 4, 5])[1:]  # 6 pixels, then 2
    assert fast > 200 and 50 < slow < 110 and slow < slower < fast


def test_frames_are_put_between_frames_on_time() -> None:
    running = rife.load(RifeOptions(), quiet).open("video")
    first, second = moving(0, 4.0), moving(1, 4.0)
    assert list(running.step(RifeParams(), [first])) == [first]
    between, last = running.step(RifeParams(), [second])
    assert last is second and between.time_s == pytest.approx(1 / 60)
    there = moving(1, 2.0).planes()[0].astype(int)
    error = np.abs(between.planes()[0].astype(int) - there)[10:-10, 10:-10].mean()
    mixed = (first.planes()[0].astype(int) + second.planes()[0]) // 2
    assert error < 2 and np.abs(mixed - there)[10:-10, 10:-10].mean() > 5


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_rate_is_multiplied_without_a_gap_between_chunks(factor: int) -> None:
    pipeline = rife.load(RifeOptions(frame_factor=factor), quiet)
    assert pipeline.rate_factor == factor
    running, times = pipeline.open("video"), list[float]()
    for chunk in range(3):
        times += [frame.time_s for frame in running.step(RifeParams(), [moving(2 * chunk), moving(2 * chunk + 1)])]
    assert np.diff(times) == pytest.approx(1 / 30 / factor) and len(times) == 5 * factor + 1


def test_after_a_reset_nothing_is_put_between_the_old_and_the_new() -> None:
    running = rife.load(RifeOptions(), quiet).open("video")
    running.step(RifeParams(), [moving(0)])
    running.reset()
    assert len(running.step(RifeParams(), [moving(1)])) == 1


def test_what_the_stream_keeps_is_its_own() -> None:
    """Frames may lie in shared memory that is used again."""
    seen: list[Frame] = []

    def between(first: Frame, second: Frame, moments: Sequence[float]) -> list[Frame]:
        seen.append(first)
        return [first] * len(moments)

    running = InterpolationStream(between, 2)
    memory = np.full((12, 8), 50, np.uint8)
    running.step(RifeParams(), [Frame.from_i420(memory, 0.0)])
    memory[:] = 200
    running.step(RifeParams(), [Frame.from_i420(memory, 0.1)])
    assert (seen[0].i420() == 50).all()


GREEN, BLUE, SKIN, GREY = (30, 200, 40), (30, 40, 200), (220, 170, 140), (128, 128, 128)


def keyed(**params: Any) -> list[bool]:
    """Whether green, blue, skin and grey are marked, in that order."""
    picture = np.zeros((8, 32, 3), np.uint8)
    for number, colour in enumerate((GREEN, BLUE, SKIN, GREY)):
        picture[:, 8 * number : 8 * number + 8] = colour
    made = chroma_key.load(Options(), quiet).step(KeyParams(**params), [Frame.from_rgb(picture, 0.0)])[0]
    assert made.mask is not None and made.mask.shape == (4, 16)
    return [bool(made.mask[2, 4 * number + 2]) for number in range(4)]


def test_the_key_marks_its_colour() -> None:
    assert keyed() == [True, False, False, False]
    assert keyed(key_hue=240) == [False, True, False, False]
    assert keyed(key_hue=25) == [False, False, True, False]
    assert keyed(key_invert=True) == [False, True, True, True]
    assert keyed(key_hue=180, key_tolerance=1.0)[:2] == [True, True] and keyed(key_hue=180, key_tolerance=0.0) == [False] * 4


def test_the_mask_can_be_looked_at() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, :4] = GREEN
    key = chroma_key.load(Options(), quiet)
    shown, plain = (key.step(KeyParams(key_show=flag), [Frame.from_rgb(picture, 0.0)])[0] for flag in (True, False))
    assert (shown.planes()[0][:, :4] == 235).all() and (shown.planes()[0][:, 4:] == 16).all()
    assert (plain.i420() == Frame.from_rgb(picture, 0.0).i420()).all()


def test_one_dict_of_load_params_goes_to_every_stage() -> None:
    """Clients send a number of frames as `input_size`, which for the depth net is a number of pixels."""
    assert DepthOptions(input_size=4).input_size == 518 and DepthOptions(input_size=252).input_size == 252
    for spec in catalog.load().specs.values():
        spec.options.model_validate({"weights": "random", "width": 96, "height": 64, "input_size": 4, "quantization": None})


def test_work_goes_on_without_gradients() -> None:
    running, params = stream_of(scribble)
    assert torch.is_grad_enabled() and running.step(params, [moving(0)])
