"""The course of prompts as pure values: units of time, interruptions, clients that repeat themselves (contract 4.1, 12.3)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from scope.contract import PromptItem, Prompts
from scope.pipelines.prompt import PromptCourse, Transition


def items(*texts: str) -> Prompts:
    return tuple(PromptItem(text=text, weight=1.0) for text in texts)


def to(*texts: str, **how: object) -> Transition:
    return Transition.model_validate({"target_prompts": list(texts)} | how)


def begun(text: str = "a") -> PromptCourse:
    course = PromptCourse()
    assert course.hear(items(text), 0.0)
    return course


def walk(course: PromptCourse, chunks: int, chunk_s: float, begin_s: float = 0.0) -> list[float]:
    shares = []
    for chunk in range(chunks):
        course.tick(begin_s + chunk * chunk_s)
        shares.append(round(course.step(), 3))
    return shares


@pytest.mark.parametrize(
    ("how", "shares"),
    [
        ({"num_steps": 5}, [0, 0.25, 0.5, 0.75, 1, 1]),
        ({"num_steps": 2}, [0, 1, 1]),
        ({"num_steps": 1}, [1, 1]),
        ({"num_steps": 0}, [1, 1]),
        ({"num_steps": 2, "unit": "seconds"}, [0.25, 0.5, 0.75, 1, 1]),
        ({"num_steps": 0.4, "unit": "seconds"}, [1, 1]),
        ({"num_steps": 4, "unit": "beats", "bpm": 120}, [0.25, 0.5, 0.75, 1, 1]),
        ({"num_steps": 4, "unit": "beats", "bpm": 60}, [0.125, 0.25, 0.375, 0.5]),
    ],
)
def test_every_unit_arrives_when_it_says(how: dict[str, object], shares: list[float]) -> None:
    course = begun()
    course.tick(9.5)
    course.start(to("b", **how))
    assert walk(course, len(shares), 0.5, begin_s=10.0) == shares
    assert course.moving is (shares[-1] < 1)


def test_a_pause_does_not_jump() -> None:
    course = begun()
    course.tick(0.0)
    course.start(to("b", num_steps=10, unit="seconds"))
    walk(course, 3, 0.5, begin_s=0.5)
    course.tick(600.0)
    assert course.step() < 0.5 and course.moving


def test_no_target_is_no_wish() -> None:
    course = begun()
    assert not course.start(to()) and not course.moving


def test_the_whole_sequence_of_soundscape_on_a_slow_pipeline() -> None:
    """(a) to (d) of contract 12.3, and the old prompts again in (d) while the way back is not done."""
    course = begun("a")
    course.tick(0.0)
    assert course.start(to("b", num_steps=8), items("a"))
    for chunk in range(1, 3):
        course.tick(float(chunk))
        assert not course.hear(items("a"), chunk)
        course.step()
    assert not course.hear(items("b"), 3.0)
    assert course.start(to("c", num_steps=8), items("b")) and course.share == 0.0
    for chunk in range(3, 11):
        course.tick(float(chunk))
        assert not course.hear(items("b"), chunk), "these are where it thinks it came from"
        assert not course.hear(items("a"), chunk)
        course.step()
    assert not course.moving and course.shown == (("c", 1.0),)


def test_a_client_that_never_stops_repeating_does_not_pull_it_back() -> None:
    course = begun("a")
    course.start(to("b", num_steps=2))
    cuts = 0
    for tick in range(150):  # 5 s at 30 Hz; the transition is over after two chunks
        course.tick(tick / 30)
        cuts += course.hear(items("a"), tick / 30)
        course.step()
    assert cuts == 0 and course.shown == (("b", 1.0),)


def test_after_a_silence_old_prompts_are_meant() -> None:
    course = begun("a")
    course.start(to("b", num_steps=2))
    for tick in range(4):
        course.tick(tick / 10)
        course.hear(items("a"), tick / 10)
        course.step()
    assert course.hear(items("a"), 5.0) and course.shown == (("a", 1.0),)


def test_prompts_that_came_with_the_wish_do_not_count_as_repeated() -> None:
    course = begun("a")
    course.start(to("b", num_steps=1), items("a"))
    course.step()
    assert course.hear(items("a"), 0.1)


@pytest.mark.parametrize(
    "how", [{"num_steps": -1}, {"num_steps": 1e9}, {"unit": "weeks"}, {"bpm": 0}, {"num_steps": float("nan")}]
)
def test_what_is_no_length_of_time_is_refused(how: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        to("b", **how)


def test_whole_numbers_stay_whole() -> None:
    assert to("b", num_steps=8).model_dump()["num_steps"] == 8 and isinstance(to("b", num_steps=8).num_steps, int)
