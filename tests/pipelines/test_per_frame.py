"""Passthrough and gray, and what the catalogue says of the others."""

from __future__ import annotations

import numpy as np
import pytest

from scope import catalog
from scope.contract import Options, Spec
from scope.errors import NotFound
from scope.frame import Frame
from scope.pipelines import gray, passthrough

SPECS = list(catalog.load().specs.values())


def _frame() -> Frame:
    return Frame.from_rgb(np.random.default_rng(4).integers(0, 255, (16, 24, 3), np.uint8), 2.5)


def test_passthrough_gives_back_the_very_frames() -> None:
    stream = passthrough.load(Options(), lambda text: None).open("video")
    frames = [_frame(), _frame()]
    params = passthrough.PassthroughParams()
    assert stream.wants(params) == 1 and list(stream.step(params, frames)) == frames
    stream.reset()


def test_gray_is_the_luma_and_keeps_time() -> None:
    stream = gray.load(Options(), lambda text: None).open("video")
    source = _frame()
    (shown,) = stream.step(gray.GrayParams(), [source])
    assert (shown.i420()[:16] == source.i420()[:16]).all() and (shown.i420()[16:] == 128).all()
    rgb = shown.rgb().astype(int)
    assert np.abs(rgb - rgb.mean(2, keepdims=True)).max() <= 2 and shown.time_s == 2.5
    stream.reset()


def test_gray_does_not_touch_the_picture_it_was_given() -> None:
    source = _frame()
    before = source.i420().copy()
    gray.load(Options(), lambda text: None).step(gray.GrayParams(), [source])
    assert (source.i420() == before).all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_every_row_is_whole(spec: Spec) -> None:
    """What can be loaded loads with its defaults; what cannot says why."""
    assert spec.name and spec.description.endswith(".") and spec.default_mode in spec.modes
    spec.params()
    options = spec.options()
    if spec.unavailable is not None:
        assert "Try" in spec.unavailable
        options = spec.options.model_validate({"weights": "random", "height": 32, "width": 32})
    assert spec.load is not None
    if spec.id == "video-depth-anything":
        with pytest.raises(NotFound, match=r"_vits\.pth .*: scope models download video-depth-anything"):
            catalog.resolve(spec.load)(options, lambda text: None)
        return
    assert catalog.resolve(spec.load)(options, lambda text: None).open(spec.default_mode)
