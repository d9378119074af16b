"""The test pattern shows what it is told, counts, and can be read by a machine."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scope.contract import Size
from scope.frame import Bytes, Frame
from scope.pipelines import framecode
from scope.pipelines.test_pattern import BARS, PatternParams, PatternStream, load
from scope.runtime.params import Mailbox


class Player:
    """Steps a stream as the chunk loop does: each step is told which values are fresh."""

    def __init__(self, **size: int) -> None:
        self.stream: PatternStream = load(Size(**size), lambda text: None).open("text")
        self._box = Mailbox({"main": PatternParams})

    def step(self, **change: Any) -> Frame:
        self._box.put({"main": change})
        params = self._box.take().params["main"]
        assert isinstance(params, PatternParams) and self.stream.wants(params) == 0
        (frame,) = self.stream.step(params, ())
        return frame


def _code(frame: Frame) -> tuple[int, int] | None:
    return framecode.read(frame.planes()[0])


def _caption(frame: Frame) -> Bytes:
    """The rows in which the prompt is written."""
    height = frame.height
    return frame.planes()[0][height * 5 // 8 & ~1 : (height * 5 // 8 & ~1) + height // 12]


def _same_words(a: Frame, b: Frame) -> bool:
    return bool((_caption(a) == _caption(b)).all())


def test_it_counts_and_keeps_its_declared_time() -> None:
    player = Player()
    frames = [player.step() for _ in range(5)]
    assert [_code(frame) for frame in frames] == [(i, 0) for i in range(5)]
    assert [frame.time_s for frame in frames] == pytest.approx([i / 30 for i in range(5)])


@pytest.mark.parametrize("level", [0.0, 0.25, 0.5, 1.0])
def test_the_level_is_readable_by_machines_and_by_people(level: float) -> None:
    frame = Player().step(level=level)
    code = _code(frame)
    assert code is not None and code[1] == round(level * 255)
    y = frame.planes()[0]
    assert int((y[-1] == 200).sum()) == round(level * frame.width)


def test_the_same_settings_draw_the_same_picture() -> None:
    first, second = Player(), Player()
    for _ in range(3):
        assert (first.step(prompts="a", speed=1.0).i420() == second.step(prompts="a", speed=1.0).i420()).all()


def test_words_are_written_and_change_with_the_prompt() -> None:
    player = Player()
    nothing, cat, dog = player.step(speed=0.0), player.step(prompts="a cat"), player.step(prompts="a dog")
    assert not _same_words(nothing, cat) and not _same_words(cat, dog)


def test_repeated_prompts_change_nothing() -> None:
    once, often = Player(), Player()
    once.step(speed=0.0, prompts="a cat")
    often.step(speed=0.0, prompts="a cat")
    for _ in range(4):
        assert (once.step().i420() == often.step(prompts="a cat").i420()).all()


def test_only_the_ratio_of_weights_matters_and_all_zero_is_equal() -> None:
    def blended(a: float, b: float) -> Frame:
        return Player().step(speed=0.0, prompts=[{"text": "a", "weight": a}, {"text": "b", "weight": b}])

    assert _same_words(blended(1, 3), blended(100, 300)) and _same_words(blended(0, 0), blended(5, 5))
    assert not _same_words(blended(1, 3), blended(1, 1))


def test_a_transition_reaches_its_target_through_repeated_old_prompts() -> None:
    """Contract, appendix B 17: no bounce back while the client goes on sending what it showed before."""
    player, steady = Player(), Player()
    goal = steady.step(speed=0.0, prompts="b")
    player.step(speed=0.0, prompts="a")
    player.step(transition={"target_prompts": ["b"], "num_steps": 4})
    shown = [player.step(prompts="a") for _ in range(2)]
    assert not any(_same_words(frame, goal) for frame in shown)
    assert _same_words(player.step(), goal) and _same_words(player.step(), goal)


def test_after_a_transition_the_old_prompts_are_obeyed_again() -> None:
    """Contract, appendix B 18."""
    player = Player()
    source = player.step(speed=0.0, prompts="a")
    player.step(transition={"target_prompts": ["b"], "num_steps": 0})
    assert not _same_words(player.step(), source)
    assert _same_words(player.step(prompts="a"), source)


def test_other_prompts_end_a_transition() -> None:
    player = Player()
    goal = Player().step(speed=0.0, prompts="c")
    player.step(speed=0.0, prompts="a")
    player.step(transition={"target_prompts": ["b"], "num_steps": 10})
    assert _same_words(player.step(prompts="c"), goal)
    assert all(_same_words(player.step(), goal) for _ in range(12))


def test_reset_begins_to_count_anew_and_ends_a_transition_at_its_target() -> None:
    player = Player()
    player.step(speed=0.0, prompts="a")
    player.step(transition={"target_prompts": ["b"], "num_steps": 10})
    player.stream.reset()
    frame = player.step()
    assert _code(frame) == (0, 0) and _same_words(frame, Player().step(speed=0.0, prompts="b"))


def _bar_widths(frame: Frame) -> list[int]:
    """Lengths of equal colour in a row without writing, without the two that the edge may cut."""
    row = frame.planes()[0][frame.height // 4]
    return [len(list(group)) for _, group in itertools.groupby(row.tolist())][1:-1]


@pytest.mark.parametrize("speed", [-2.0, -0.3, 0.3, 2.0])
def test_bars_keep_their_width_in_both_directions(speed: float) -> None:
    player = Player()
    for _ in range(40):
        widths = _bar_widths(player.step(speed=speed))
        assert max(widths) - min(widths) <= 1


def test_negative_speed_runs_backwards() -> None:
    there, back = Player(), Player()
    for player, speed in ((there, 1.0), (back, -1.0)):
        player.step(speed=speed)
    row = there.stream  # both have moved one frame away from the start, in opposite directions
    ahead, behind = there.step(speed=0.0), back.step(speed=0.0)
    y = ahead.planes()[0][row._height // 4], behind.planes()[0][row._height // 4]
    shift = round(512 / 30)
    assert (np.roll(y[0], shift * 2)[64:448] == y[1][64:448]).mean() > 0.9


def test_every_bar_has_its_colour() -> None:
    frame = Player().step(speed=0.0)
    y, u, v = frame.planes()
    row, columns = frame.height // 4, [frame.width * (2 * i + 1) // 16 for i in range(8)]
    seen = [(y[row, c], u[row // 2, c // 2], v[row // 2, c // 2]) for c in columns]
    assert (np.array(seen) == BARS).all()


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(8, 40).map(lambda n: 2 * n),
    width=st.integers(8, 40).map(lambda n: 2 * n),
    text=st.text(max_size=300),
    bars=st.integers(1, 32),
    speed=st.floats(-2, 2),
)
def test_no_size_and_no_text_breaks_it(height: int, width: int, text: str, bars: int, speed: float) -> None:
    player = Player(height=height, width=width)
    for _ in range(2):
        frame = player.step(prompts=[{"text": text}], bars=bars, speed=speed, level=1.0)
        assert (frame.width, frame.height) == (width, height)


@pytest.mark.parametrize("text", ["x" * 10_000, "\n" * 50, "a\nb", "日本語 🎛", "\x00", "\u202e", " "])
def test_strange_and_long_prompts_fit(text: str) -> None:
    for size in (16, 64, 512):
        frame = Player(height=size, width=size).step(prompts=[{"text": text}])
        assert frame.height == size
        assert size < 256 or _code(frame) == (0, 0)
