"""Texts are encoded beside the picture: nobody waits who need not, and what is wanted no more is not made."""

from __future__ import annotations

import threading
from time import monotonic

import pytest
import torch
from torch import Tensor

from scope.pipelines.words import KNOWN, Words

PATIENCE_S = 10.0


class Slow:
    """An encoder that waits to be let go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, text: str) -> Tensor:
        self.asked.append(text)
        self.begun.set()
        assert self.go.wait(PATIENCE_S)
        return torch.full((1, 1, 1), float(len(text)))


def test_a_new_text_does_not_hold_up_whoever_asks() -> None:
    slow = Slow()
    words = Words(slow)
    begun_s = monotonic()
    assert words.ready(["a", "bb"]) is None and monotonic() - begun_s < 1.0
    slow.go.set()
    assert [float(found) for found in words.wait(["a", "bb"])] == [1.0, 2.0]
    assert words.ready(["bb"]) is not None and slow.asked == ["a", "bb"]


def test_what_is_wanted_no_more_is_not_encoded() -> None:
    slow = Slow()
    words = Words(slow)
    words.ask(["first"])
    assert slow.begun.wait(PATIENCE_S)
    for number in range(50):
        words.ask([f"on the way {number}"])
    words.ask(["last"])
    slow.go.set()
    words.wait(["last"])
    assert slow.asked == ["first", "last"]


def test_a_failure_is_told_and_tried_again() -> None:
    asked = []

    def embed(text: str) -> Tensor:
        asked.append(text)
        if len(asked) == 1:
            raise RuntimeError("no tokenizer")
        return torch.zeros(1, 1, 1)

    words = Words(embed)
    with pytest.raises(RuntimeError, match="no tokenizer"):
        words.wait(["a"])
    assert len(words.wait(["a"])) == 1 and asked == ["a", "a"]


def test_the_latest_texts_are_known_and_no_more_than_that() -> None:
    asked = []

    def embed(text: str) -> Tensor:
        asked.append(text)
        return torch.zeros(1, 1, 1)

    words = Words(embed)
    for number in range(KNOWN + 10):
        words.wait([str(number)])
        words.wait(["always"])
    count = len(asked)
    words.wait(["always"])
    words.wait([str(KNOWN + 9)])
    assert len(asked) == count
    words.wait(["0"])
    assert len(asked) == count + 1 and len(words._found) <= KNOWN
