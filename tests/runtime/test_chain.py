"""Chains: per-frame and chunked stages in any order behave as one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.contract import Mode, News, Options, Params, Spec
from scope.frame import Frame
from scope.pipelines import gray, passthrough
from scope.runtime.chain import ChainStream, Link, about, main_spec, mode_for, rate_factor
from scope.runtime.failures import sentence


@dataclass
class Fake:
    """Takes `takes` frames, gives as many marked ones (or `gives` of its own)."""

    takes: int
    gives: int = 0
    steps: list[int] = field(default_factory=list)
    resets: int = 0

    def open(self, mode: Mode) -> Fake:
        return self

    def wants(self, params: Params) -> int:
        return self.takes

    def step(self, params: Params, frames: Sequence[Frame]) -> Sequence[Frame]:
        self.steps.append(len(frames))
        return list(frames) if self.takes else [_frame(1000 + i) for i in range(self.gives)]

    def reset(self) -> None:
        self.resets += 1


def _frame(number: int) -> Frame:
    return Frame.from_rgb(np.full((4, 4, 3), (200, 30, 60), np.uint8), float(number))


def _link(name: str, pipeline: Fake | gray.Gray | passthrough.Passthrough, spec: Spec = passthrough.SPEC) -> Link:
    return Link(name, spec, pipeline)


def _chain(*pipelines: Fake | gray.Gray | passthrough.Passthrough) -> tuple[ChainStream, dict[str, Params]]:
    links = [_link(str(i), pipeline) for i, pipeline in enumerate(pipelines)]
    return ChainStream(links, "video"), {link.node_id: Params() for link in links}


def _times(frames: Sequence[Frame]) -> list[int]:
    return [int(frame.time_s) for frame in frames]


def test_gray_before_passthrough_takes_the_colour_and_keeps_luma_and_time() -> None:
    stream, params = _chain(gray.Gray(), passthrough.Passthrough())
    assert stream.wants(params) == 1
    source = _frame(7)
    (shown,) = stream.step(params, [source])
    y, u, v = shown.planes()
    assert (y == source.planes()[0]).all() and (u == 128).all() and (v == 128).all() and shown.time_s == 7.0


def test_a_main_of_twelve_behind_a_stage_of_one_asks_for_twelve() -> None:
    before, main = Fake(1), Fake(12)
    stream, params = _chain(before, main)
    assert stream.wants(params) == 12
    assert _times(stream.step(params, [_frame(i) for i in range(12)])) == list(range(12))
    assert before.steps == [1] * 12 and main.steps == [12]


def test_left_over_frames_wait_for_the_next_chunk() -> None:
    stream, params = _chain(Fake(4), Fake(3))
    assert stream.wants(params) == 4
    assert _times(stream.step(params, [_frame(i) for i in range(4)])) == [0, 1, 2]
    assert _times(stream.step(params, [_frame(i) for i in range(4, 8)])) == [3, 4, 5]
    assert _times(stream.step(params, [_frame(i) for i in range(8, 12)])) == [6, 7, 8, 9, 10, 11]


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4), chunks=st.integers(1, 8))
def test_no_frame_is_lost_or_turned_around(sizes: list[int], chunks: int) -> None:
    fakes = [Fake(size) for size in sizes]
    stream, params = _chain(*fakes)
    wants, given_, got = stream.wants(params), 0, list[int]()
    for _ in range(chunks):
        got += _times(stream.step(params, [_frame(given_ + i) for i in range(wants)]))
        given_ += wants
    assert got == list(range(len(got))) and given_ - len(got) < sum(sizes)
    assert all(step == fake.takes for fake in fakes for step in fake.steps)


def test_a_dreaming_main_ignores_what_comes_before_it_and_feeds_what_comes_after() -> None:
    main, after = Fake(0, gives=2), Fake(1)
    stream, params = _chain(Fake(1), main, after)
    assert stream.wants(params) == 0
    assert _times(stream.step(params, ())) == [1000, 1001]
    assert main.steps == [0] and after.steps == [1, 1]


def test_reset_forgets_what_waits_and_reaches_every_stage() -> None:
    first, second = Fake(4), Fake(3)
    stream, params = _chain(first, second)
    stream.step(params, [_frame(i) for i in range(4)])
    stream.reset()
    assert _times(stream.step(params, [_frame(i) for i in range(10, 14)])) == [10, 11, 12]
    assert (first.resets, second.resets) == (1, 1)


def _spec(name: str, *usage: str) -> Spec:
    return Spec(name, name, "", Params, Options, None, {"text": {}, "video": {}}, "text", usage=usage)  # type: ignore[arg-type]


def test_the_main_pipeline_is_the_one_a_chain_is_about() -> None:
    before, main, after = _spec("a", "preprocessor"), _spec("b"), _spec("c", "postprocessor")
    assert main_spec([before, main, after]) is main and main_spec([before, after]) is after


def test_the_mode_is_what_was_asked_for_where_the_main_pipeline_can() -> None:
    assert mode_for([_spec("m")], None) == mode_for([_spec("m"), _spec("after", "postprocessor")], None) == "text"
    assert mode_for([gray.SPEC, _spec("m")], None) == "video", "a preprocessor has a video to work on"
    assert mode_for([gray.SPEC, _spec("m")], "text") == "text"
    assert mode_for([gray.SPEC, _spec("m")], "video") == "video"
    assert mode_for([gray.SPEC, passthrough.SPEC], "text") == "video"


@dataclass
class Speaking(Fake):
    """Also says something, and wants to know things early."""

    foreseen: list[Params] = field(default_factory=list)

    def news(self) -> list[News]:
        return [News({"type": "warning", "message": "x"}, {"a": 1})]

    def foresee(self, params: Params) -> None:
        self.foreseen.append(params)


def test_stages_that_speak_are_heard_and_those_that_look_ahead_are_told() -> None:
    quiet, speaking = Fake(1), Speaking(1)
    chain = ChainStream([Link("a", gray.SPEC, quiet), Link("b", gray.SPEC, speaking)], "video")
    params = {"a": Params(), "b": Params()}
    chain.foresee(params)
    assert speaking.foreseen == [params["b"]]
    assert [(node, news.settled) for node, news in chain.news()] == [("b", {"a": 1})]


def test_the_main_pipeline_speaks_for_the_chain() -> None:
    main = Fake(1)
    main.about = {"notice": "not what you asked for"}  # type: ignore[attr-defined]
    assert about([Link("a", gray.SPEC, Fake(1)), Link("b", passthrough.SPEC, main)]) == {"notice": "not what you asked for"}
    assert about([Link("a", gray.SPEC, Fake(1))]) == {}


@dataclass
class Doubling(Fake):
    rate_factor: float = 2.0


def test_what_comes_after_the_main_pipeline_multiplies_its_rate() -> None:
    main, after = _spec("b"), _spec("c", "postprocessor")
    before = Link("a", _spec("a", "preprocessor"), Doubling(1))
    links = [before, Link("b", main, Fake(0)), Link("c", after, Doubling(1)), Link("d", after, Doubling(1, rate_factor=1.5))]
    assert rate_factor(links) == 3.0 and rate_factor(links[:2]) == 1.0


class Failing(Fake):
    def step(self, params: Params, frames: Sequence[Frame]) -> Sequence[Frame]:
        raise ValueError("no lines")

    def open(self, mode: Mode) -> Failing:
        if mode == "text":
            raise ValueError("cannot dream")
        return self


def test_a_failing_stage_is_named() -> None:
    links = [Link("gray", gray.SPEC, Failing(1)), Link("main", passthrough.SPEC, Fake(1))]
    with pytest.raises(ValueError) as caught:
        ChainStream(links, "video").step({"gray": Params(), "main": Params()}, [_frame(0)])
    assert sentence(caught.value) == "Grayscale: ValueError: no lines"
    with pytest.raises(ValueError) as caught:
        ChainStream([Link("second", gray.SPEC, Failing(1))], "text")
    assert sentence(caught.value) == "Grayscale (second): ValueError: cannot dream"
