"""The bundled text encoder: any words, any spelling, nothing to look up."""

from __future__ import annotations

import pytest
import torch

from scope.models.nano_text import CONCEPTS, GROUPS, NanoText, NanoTextConfig, letter_groups, spelled
from scope.models.nano_words import Concept, understood, unknown

SMALL = NanoTextConfig(buckets=256, dim=16, layers=1, heads=2, length=6)


@pytest.fixture
def encoder() -> NanoText:
    torch.manual_seed(0)
    return NanoText(SMALL).eval().requires_grad_(False)


def test_case_and_punctuation_mean_nothing(encoder: NanoText) -> None:
    a, b = encoder(spelled(["Blue, ocean!", "blue ocean"], SMALL))
    assert torch.equal(a, b) and a[:2].abs().min() > 0


def test_rows_past_the_end_are_zero_and_so_is_silence(encoder: NanoText) -> None:
    one, none = encoder(spelled(["ocean", ""], SMALL))
    assert one[0].abs().sum() > 0 and not one[1:].any() and not none.any() and one.isfinite().all()


def test_long_prompts_are_cut_and_long_words_are_read(encoder: NanoText) -> None:
    found = encoder(spelled(["a " * 40 + "ocean", "x" * 500], SMALL))
    assert found.shape == (2, 6, 16) and found.isfinite().all()
    assert int((spelled(["x" * 500], SMALL).groups_BLG[0, 0] > 0).sum()) == GROUPS


def test_near_spellings_share_letter_groups() -> None:
    ocean, oceans, fire = (set(letter_groups(word)) for word in ("ocean", "oceans", "fire"))
    assert len(ocean & oceans) > len(ocean) / 2 and not ocean & fire


def test_every_word_of_a_phrase_carries_its_concept() -> None:
    numbers = spelled(["calm northern lights"]).concepts_BL[0, :4].tolist()
    aurora, slow = CONCEPTS[Concept("scene", "aurora")], CONCEPTS[Concept("speed", "slow")]
    assert numbers == [slow, aurora, aurora, 0]


def test_the_numbers_of_concepts_are_part_of_the_weights() -> None:
    chosen = (Concept("scene", "ocean"), Concept("palette", "blue"), Concept("time", "dusk"))
    assert [CONCEPTS[concept] for concept in chosen] == [1, 23, 53]


def test_what_was_understood_can_be_told() -> None:
    prompt = "A slow ocean of bananas"
    found = [(part.text, part.concept.name, part.place) for part in understood(prompt)]
    assert found == [("slow", "slow", 1), ("ocean", "ocean", 2)]
    assert unknown(prompt) == ["bananas"]
