"""The bundled family as it ships: it obeys colours, says what it understood, and stands in for what cannot run here."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from scope import offline
from scope.contract import Mode
from scope.errors import Unavailable
from scope.models.wan import NANO
from scope.pipelines import bundled
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.loading import Diffusion, load_nano
from scope.pipelines.nano import NanoOptions, NanoParams
from tests.pipelines.small import camera, pictures

SMALL = {"height": 128, "width": 128}


def opened(mode: Mode = "text", **options: Any) -> DiffusionStream:
    return load_nano(NanoOptions.model_validate({**SMALL, **options}), lambda text: None).open(mode)


def said(**values: Any) -> NanoParams:
    return NanoParams.model_validate(values)


def colour(prompt: str) -> tuple[float, float, float]:
    """Mean red, green, blue of the second chunk."""
    stream = opened(height=192, width=320)
    stream.step(said(prompts=prompt), ())
    red, green, blue = pictures(stream.step(said(prompts=prompt), ())).mean((0, 1, 2))
    return float(red), float(green), float(blue)


def test_it_obeys_colours() -> None:
    red, blue, green = colour("red fire"), colour("blue ocean"), colour("emerald forest")
    assert red[0] > 1.5 * red[2] and blue[2] > 1.5 * blue[0] and green[1] > 1.2 * max(green[0], green[2])


def test_it_moves_and_does_not_repeat() -> None:
    stream = opened()
    chunks = [pictures(stream.step(said(prompts="fast fire"), ())) for _ in range(3)]
    assert [len(chunk) for chunk in chunks] == [9, 12, 12]
    assert np.abs(np.diff(chunks[2].astype(int), axis=0)).mean() > 0.05
    assert (chunks[1] != chunks[2]).any()


def test_it_begins_with_a_prompt_of_its_own_and_says_what_it_understood() -> None:
    stream = opened()
    stream.step(NanoParams(), ())
    (news,) = [news.message for news in stream.news() if news.message["type"] == "prompt_read"]
    (read,) = news["prompts"]
    found = [(part["kind"], part["means"]) for part in read["understood"]]
    assert ("scene", "aurora") in found and ("palette", "blue") in found and read["unknown"] == []
    stream.step(said(prompts="a purple elephant"), ())
    last = [news.message for news in stream.news() if news.message["type"] == "prompt_read"][-1]
    assert last["prompts"][0]["unknown"] == ["elephant"]


def test_a_camera_is_painted_over() -> None:
    stream, params = opened("video"), said(prompts="blue ocean", noise_scale=0.6)
    for _ in range(2):
        made = stream.step(params, camera(stream.wants(params), size=(128, 128)))
    assert pictures(made).shape == (12, 128, 128, 3)


@pytest.mark.parametrize(("asked", "given"), [((320, 576), (320, 576)), ((288, 512), (256, 512)), ((16, 100), (64, 128))])
def test_any_size_becomes_whole_cells(asked: tuple[int, int], given: tuple[int, int]) -> None:
    options = NanoOptions.model_validate({"height": asked[0], "width": asked[1]})
    assert (options.height, options.width) == given


def test_it_stands_in_for_every_row_and_says_so() -> None:
    player = offline.load("longlive", height=320, width=576)
    assert "Nano" in player.notice and "CUDA" in player.notice
    (link,) = player.links
    assert isinstance(link.pipeline, Diffusion) and link.spec.id == "longlive"
    assert link.pipeline.recipe is bundled.RECIPE and link.pipeline.parts.net.config is NANO
    (frame,) = islice(player.play(prompts="gold city"), 1)
    assert (frame.height, frame.width) == (320, 576)


def test_a_build_without_the_weights_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    with pytest.raises(Unavailable, match="training/README"):
        opened()


def test_what_only_big_models_have_is_taken_and_means_nothing() -> None:
    stream = opened()
    assert stream.step(said(prompts="snow", vace_enabled=True, vace_context_scale=1.5, kv_cache_attention_bias=0.2), ())
