"""Processors around a main pipeline: what reaches VACE, and how fast the frames leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from scope import catalog
from scope.contract import Params
from scope.frame import Frame
from scope.pipelines.family import WanParams
from scope.runtime.chain import ChainStream, Link
from scope.runtime.pacing import EvenPace, SourcePace
from scope.runtime.run import _pace
from tests.pipelines.small import camera, pictures, pipeline, said

CHUNKS = 2


def link(name: str, **options: Any) -> Link:
    spec = catalog.load().specs[name]
    assert spec.load is not None
    return Link(name, spec, catalog.resolve(spec.load)(spec.options.model_validate(options), lambda text: None))


def main(**options: Any) -> Link:
    return Link("longlive", catalog.load().specs["longlive"], pipeline("longlive", vace_enabled=True, **options))


def through(links: Sequence[Link], given: Sequence[Sequence[Frame]], values: WanParams) -> Any:
    """What a chain makes of a few chunks of frames."""
    params: dict[str, Params] = {link.node_id: link.spec.params() for link in links} | {"longlive": values}
    chain = ChainStream(links, "video")
    made: list[Frame] = []
    for frames in given:
        assert chain.wants(params) == len(frames)
        made += chain.step(params, frames)
    return pictures(made)


def alone(given: Sequence[Sequence[Frame]], values: WanParams) -> Any:
    stream = main().pipeline.open("video")
    return pictures([frame for frames in given for frame in stream.step(values, frames)])


def filmed() -> list[list[Frame]]:
    return [camera(13 - bool(chunk), chunk) for chunk in range(CHUNKS)]


@pytest.mark.parametrize("name", ["scribble", "gray", "optical-flow"])
def test_what_a_preprocessor_draws_is_vaces_control_video(name: str) -> None:
    values = said(prompts="a cat")
    before = link(name)
    stream, params = before.pipeline.open("video"), before.spec.params()
    drawn = [[made for frame in frames for made in stream.step(params, [frame])] for frames in filmed()]
    steered = through([before, main()], filmed(), values)
    assert (steered == alone(drawn, values)).all()
    assert (steered != alone(filmed(), values)).any()
    assert (steered != through([before, main()], filmed(), said(prompts="a cat", vace_context_scale=0.0))).any()
    painted = said(prompts="a cat", vace_use_input_video=False)
    assert (through([before, main()], filmed(), painted) == alone(drawn, painted)).all(), "else it is painted over"


def screened(frame: Frame) -> Frame:
    """A grey picture with a green screen on the left, as a camera sends it."""
    picture = np.repeat(frame.rgb()[..., :1], 3, 2)
    picture[:, :24] = (20, 220, 30)
    return Frame.from_i420(Frame.from_rgb(picture, 0.0).i420(), 0.0)


def test_what_a_key_marks_is_made_new_and_the_rest_is_kept() -> None:
    values, key = said(prompts="a cat"), link("chroma-key")
    given = [[screened(frame) for frame in frames] for frames in filmed()]
    shown = through([key, main()], given, values)
    mask = np.zeros((32, 48), np.uint8)
    mask[:, :24] = 255
    for frames in given:
        for frame in frames:
            frame.mask = mask
    marked = alone(given, values)
    for frames in given:
        for frame in frames:
            frame.mask = None
    whole = alone(given, values)
    assert (shown != whole).any()
    assert (shown == marked).all()


def test_a_mask_outlives_a_stage_that_draws() -> None:
    given = filmed()
    with_key = through([link("chroma-key"), link("scribble"), main()], given, said(prompts="a cat"))
    assert (with_key != through([link("scribble"), main()], given, said(prompts="a cat"))).any()


def test_rife_doubles_what_the_main_pipeline_makes() -> None:
    chain = ChainStream([main(), link("rife")], "text")
    params: dict[str, Params] = {"longlive": said(prompts="a cat"), "rife": link("rife").spec.params()}
    counts = [len(chain.step(params, ())) for _ in range(3)]
    single = main().pipeline.open("text")
    plain = [len(single.step(said(prompts="a cat"), ())) for _ in range(3)]
    assert counts == [2 * plain[0] - 1, *(2 * count for count in plain[1:])]


def test_a_declared_rate_is_doubled_and_a_source_sets_its_own() -> None:
    pattern, rife = link("test-pattern"), link("rife", frame_factor=2)
    doubled, plain = _pace([pattern, rife], "text"), _pace([pattern], "text")
    assert isinstance(doubled, EvenPace) and isinstance(plain, EvenPace)
    assert (doubled.rate_hz, plain.rate_hz) == (60.0, 30.0)
    assert isinstance(_pace([link("scribble"), link("passthrough"), rife], "video"), SourcePace)
    measured = _pace([main(), rife], "text")
    assert isinstance(measured, EvenPace)
    measured.produced(24, 1.0, 0.0)
    assert measured.rate_hz == 24.0
