"""Prompt mixing where the recordings do not reach: the original's faults beside what we do instead."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scope.errors import BadParams
from scope.models.blend import SCOPE, blend, shares, slerp, transition


def rows(*values: list[float]) -> Tensor:
    return torch.tensor([list(values)])


def test_equal_rows_beside_different_ones_stay_themselves() -> None:
    a, b = rows([1.0, 0.0], [3.0, 4.0]), rows([0.0, 1.0], [3.0, 4.0])
    ours, theirs = slerp(a, b, 0.5), slerp(a, b, 0.5, SCOPE)
    torch.testing.assert_close(ours, rows([math.sqrt(0.5), math.sqrt(0.5)], [3.0, 4.0]))
    assert theirs[0, 1].abs().max() < 1e-6, "the original turns the equal row into nothing"


def test_opposite_rows_do_not_explode() -> None:
    a, b = rows([1.0, 0.0]), rows([-1.0, 0.0])
    assert slerp(a, b, 0.25).abs().max() <= 1.0
    torch.testing.assert_close(slerp(a, b, 0.25), rows([0.5, 0.0]))


def test_a_single_step_arrives() -> None:
    a, b = rows([1.0, 0.0]), rows([0.0, 1.0])
    assert torch.equal(transition(a, b, 1)[0], b)
    assert torch.equal(transition(a, b, 1, rules=SCOPE)[0], a), "the original never arrives"


@given(steps=st.integers(2, 12), method=st.sampled_from(["linear", "slerp"]))
def test_transitions_begin_and_end_where_they_should(steps: int, method: str) -> None:
    a, b = rows([1.0, 0.2], [0.1, 1.0]), rows([0.3, 1.0], [1.0, 0.1])
    queue = transition(a, b, steps, "slerp" if method == "slerp" else "linear")
    assert len(queue) == steps
    torch.testing.assert_close(queue[0], a)
    torch.testing.assert_close(queue[-1], b)


def test_no_steps_is_a_cut_and_no_difference_is_no_transition() -> None:
    a, b = rows([1.0, 0.0]), rows([0.0, 1.0])
    assert [torch.equal(e, b) for e in transition(a, b, 0)] == [True]
    assert transition(a, a + 0.001, 5) == []


@given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_shares_are_shares(weights: list[float]) -> None:
    assert float(shares(weights, torch.zeros(1, dtype=torch.float64)).sum()) == pytest.approx(1.0)


def test_linear_keeps_the_average_length() -> None:
    a, b = rows([2.0, 0.0]), rows([0.0, 4.0])
    assert float(blend([a, b], [1, 1]).norm()) == pytest.approx(3.0)
    assert torch.equal(blend([a * 0], [1]), a * 0)


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(BadParams):
        blend([], [])
    with pytest.raises(BadParams):
        blend([rows([1.0])], [1, 2])


def test_half_precision_stays_half() -> None:
    a, b = rows([1.0, 0.0]).bfloat16(), rows([0.0, 1.0]).bfloat16()
    assert blend([a, b], [70, 30]).dtype == torch.bfloat16
    assert all(e.dtype == torch.bfloat16 for e in transition(a, b, 3, "slerp"))
