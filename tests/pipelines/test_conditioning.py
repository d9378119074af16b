"""Prompts over time: no bounce, no jump, nothing ignored that was meant (contract 4.1, 12.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scope.contract import PromptItem, Prompts
from scope.pipelines.conditioning import Conditioning
from scope.pipelines.prompt import Transition

A, B, C = (torch.nn.functional.one_hot(torch.tensor(i), 3).float().expand(1, 4, 3) * 5 for i in range(3))
ROWS = {"a": A, "b": B, "c": C, "": torch.zeros(1, 4, 3)}


def items(*texts: str, weights: tuple[float, ...] = ()) -> Prompts:
    return tuple(PromptItem(text=text, weight=weights[i] if weights else 1.0) for i, text in enumerate(texts))


def to(text: str, steps: int) -> Transition:
    return Transition(target_prompts=items(text), num_steps=steps)


def begun(text: str = "a") -> Conditioning:
    found = Conditioning(ROWS.__getitem__)
    found.hear(items(text))
    found.step()
    return found


def shares(found: Conditioning) -> list[float]:
    assert found.current is not None
    return [round(float(found.current[0, 0, i]) / 5, 4) for i in range(3)]


def walk(found: Conditioning, chunks: int, before: Callable[[int], None] = lambda chunk: None) -> list[list[float]]:
    seen = []
    for chunk in range(chunks):
        before(chunk)
        found.step()
        seen.append(shares(found))
    return seen


def test_a_transition_begins_where_it_is_and_ends_at_its_target() -> None:
    found = begun()
    found.start(to("b", 5))
    seen = walk(found, 6)
    assert [s[1] for s in seen] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0] and not found.crossing


def test_the_soundscape_sequence_moves_only_forward() -> None:
    """Transition once, then the old prompts at every message, then the new ones while it is still moving (12.3 a-c)."""
    found = begun()

    def client(chunk: int) -> None:
        if chunk == 0:
            found.start(to("b", 8))
        for _ in range(25):
            found.hear(items("a" if chunk < 5 else "b"))

    seen = [s[1] for s in walk(found, 12, client)]
    assert seen == sorted(seen) and seen[-1] == 1.0 and seen[3] < 0.6


def test_an_interruption_goes_on_from_the_point_reached() -> None:
    found = begun()
    found.start(to("b", 5))
    walk(found, 3)
    reached = shares(found)
    found.start(to("c", 3))
    seen = walk(found, 3)
    assert seen[0] == reached and seen[-1] == [0.0, 0.0, 1.0]


def test_there_and_back_again() -> None:
    found = begun()
    found.start(to("b", 2))
    walk(found, 2)
    found.hear(items("a"))
    assert walk(found, 1) == [[1.0, 0.0, 0.0]]


def test_other_prompts_cut_a_transition() -> None:
    found = begun()
    found.start(to("b", 6))
    walk(found, 2)
    found.hear(items("c"))
    assert walk(found, 1) == [[0.0, 0.0, 1.0]] and not found.crossing


def test_the_same_transition_said_again_is_the_same() -> None:
    found = begun()
    seen = walk(found, 5, lambda chunk: found.start(to("b", 5)))
    assert [s[1] for s in seen] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_only_ratios_count() -> None:
    shown = []
    for weights in ((0.0, 0.0), (1.0, 1.0), (100.0, 100.0)):
        found = Conditioning(ROWS.__getitem__)
        found.hear(items("a", "b", weights=weights))
        found.step()
        shown.append(shares(found))
    assert shown[0] == shown[1] == shown[2]


def test_repeated_prompts_cost_nothing_and_a_new_shot_arrives() -> None:
    asked: list[str] = []

    def embed(text: str) -> Tensor:
        asked.append(text)
        return ROWS[text]

    found = Conditioning(embed)
    for _ in range(30):
        found.hear(items("a"))
        found.step()
    assert asked == ["a"]
    found.start(to("b", 9))
    found.step()
    found.finish()
    assert walk(found, 1) == [[0.0, 1.0, 0.0]] and not found.crossing


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_two_prompts_by_either_method_keep_their_strength(method: str) -> None:
    found = Conditioning(ROWS.__getitem__)
    found.hear(items("a", "b"), "slerp" if method == "slerp" else "linear")
    found.step()
    assert found.current is not None and float(found.current.norm()) == pytest.approx(float(A.norm()), rel=1e-4)
