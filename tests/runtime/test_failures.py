"""What a failure is called, and by whom it was made."""

from __future__ import annotations

import pytest

from scope.runtime.failures import sentence, stage


def test_the_stage_is_named_before_the_error() -> None:
    with pytest.raises(ValueError) as caught, stage("Scribble"):
        raise ValueError("too many lines\nand more")
    assert sentence(caught.value) == "Scribble: ValueError: too many lines"
    assert sentence(KeyError("x")) == "KeyError: 'x'", "outside of a chain nobody is blamed"


def test_memory_that_runs_out_names_the_stage_too() -> None:
    with pytest.raises(MemoryError) as caught, stage("RIFE (rife-2)"):
        raise MemoryError("2 GiB")
    assert sentence(caught.value).startswith("RIFE (rife-2): Out of memory: choose")


def test_the_innermost_stage_is_the_one_to_blame() -> None:
    with pytest.raises(ValueError) as caught, stage("outer"), stage("inner"):
        raise ValueError("x")
    assert sentence(caught.value) == "inner: ValueError: x"
