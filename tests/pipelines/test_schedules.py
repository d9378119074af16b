"""Chunks of another length, and stream batch: what a user feels of them."""

from __future__ import annotations

from typing import Any

import pytest

from scope.errors import BadInput
from scope.models.ring import Ring
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import SPECS, WanOptions
from scope.pipelines.recipes import RECIPES, shaped
from scope.pipelines.stream_batch import StreamBatch
from tests.pipelines.small import camera, pictures, pipeline, said, tiniest

COUNTS = {"longlive": (1, 2, 3), "streamdiffusionv2": (1, 2, 3)}


@pytest.mark.parametrize(("name", "chunk"), [(name, chunk) for name, counts in COUNTS.items() for chunk in counts])
def test_a_chunk_may_be_shorter_or_longer(name: str, chunk: int) -> None:
    for mode in ("text", "video"):
        running = pipeline(name, chunk=chunk).open(mode)
        made = []
        for number in range(5):
            wanted = running.wants(said())
            assert wanted == (4 * chunk + (number == 0) if mode == "video" else 0)
            text = "a dog" if number == 3 and mode == "text" else "a cat"  # with a video, another prompt cuts
            made.append(len(running.step(said(prompts=text), camera(wanted, number))))
        first = running.recipe.first_chunk or chunk
        assert made == [4 * (first - 1) + 1 if mode == "text" else 4 * chunk - 3, *[4 * chunk] * 4]


@pytest.mark.parametrize("name", RECIPES)
def test_the_recorded_length_is_the_default(name: str) -> None:
    assert shaped(RECIPES[name]) is RECIPES[name] is shaped(RECIPES[name], chunk=RECIPES[name].policy.chunk)


@pytest.mark.parametrize("name", RECIPES.keys() - COUNTS.keys())
def test_what_a_model_does_not_permit_is_said(name: str) -> None:
    with pytest.raises(BadInput, match="chunks of 3, not of 1; leave 'chunk' out"):
        pipeline(name, chunk=1)
    with pytest.raises(BadInput, match="'batch' is for StreamDiffusionV2"):
        pipeline(name, schedule="batch")


def test_what_does_not_go_with_stream_batch_is_said() -> None:
    with pytest.raises(BadInput, match="chunks of one"):
        pipeline("streamdiffusionv2", schedule="batch", chunk=3)
    with pytest.raises(BadInput, match="leave out vace_enabled"):
        pipeline("streamdiffusionv2", schedule="batch", vace_enabled=True)


def test_the_choices_are_offered_where_there_is_one() -> None:
    shown = {
        spec.id: [name for name in ("chunk", "schedule") if "ui" in (spec.options.model_json_schema()["properties"][name])]
        for spec in SPECS
    }
    offered = {name: names for name, names in shown.items() if names}
    assert offered == {"longlive": ["chunk"], "streamdiffusionv2": ["chunk", "schedule"]}
    assert all(set(recipe.chunks) != {recipe.policy.chunk} for name, recipe in RECIPES.items() if name in COUNTS)
    assert all(issubclass(spec.options, WanOptions) for spec in SPECS)


def batch(mode: Any = "text", **more: Any) -> DiffusionStream:
    return tiniest("streamdiffusionv2", mode, schedule="batch", **more)


def counts(running: DiffusionStream, chunks: int, **values: Any) -> list[int]:
    return [len(running.step(said(prompts="a cat", **values), camera(running.wants(said()), n))) for n in range(chunks)]


@pytest.mark.parametrize("mode", ["text", "video"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_chunks_come_one_a_pass_when_the_batch_is_full(mode: str, steps: int) -> None:
    running = batch(mode)
    found = counts(running, 8, denoising_step_list=[1000, 750, 500, 250][:steps])
    first = 5 if mode == "text" else 1  # the tiny codec makes one latent of the first five frames
    assert found == [first, *[0] * (steps - 1), *[4] * (8 - steps)]


def test_stream_batch_is_repeatable_and_goes_on_for_ever() -> None:
    one, two = batch(), batch()
    shown = [[pictures(made) for _ in range(70) if (made := running.step(said(prompts="a cat"), ()))] for running in (one, two)]
    assert all((a == b).all() for a, b in zip(*shown, strict=True))
    schedule = one.denoising
    assert isinstance(schedule, StreamBatch) and one.start == 71 and schedule._position < 50, "positions begin again"
    assert one.past is not None and bool(one.past.isfinite().all())


def test_a_prompt_is_heard_by_every_row_at_the_next_pass() -> None:
    one, two = batch(), batch()
    for running in (one, two):
        counts(running, 6)
    same, other = (pictures(running.step(said(prompts=text), ())) for running, text in ((one, "a cat"), (two, "a dog")))
    assert (same != other).any()


def test_another_number_of_steps_begins_a_new_shot_even_where_the_cache_is_left_alone() -> None:
    running = batch()
    counts(running, 4, manage_cache=False)
    assert counts(running, 3, denoising_step_list=[1000, 750, 500], manage_cache=False) == [5, 0, 0]
    assert isinstance(running.denoising, StreamBatch) and isinstance(running.denoising.ring, Ring)
    assert running.denoising.ring.room.batch == 3
    assert counts(running, 1, denoising_step_list=[900, 750, 500], manage_cache=False) == [4], "other steps, as many: no cut"


def test_a_reset_forgets_what_was_on_its_way() -> None:
    running, fresh = batch(), batch()
    counts(running, 5)
    running.reset()
    again = [pictures(made) for _ in range(4) if (made := running.step(said(prompts="a cat"), ()))]
    first = [pictures(made) for _ in range(4) if (made := fresh.step(said(prompts="a cat"), ()))]
    assert all((a == b).all() for a, b in zip(again, first, strict=True))
