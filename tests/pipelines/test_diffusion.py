"""The one stream on small random networks: what a user feels, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scope.contract import Mode
from scope.errors import NotFound
from scope.frame import Frame
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import WanOptions, WanParams
from scope.pipelines.loading import load
from scope.pipelines.recipes import RECIPES
from scope.pipelines.rules import Seeded, StreamRules

SIZE = {"height": 32, "width": 48}


def stream(name: str, mode: Mode = "text", seed: int = 42) -> DiffusionStream:
    options = WanOptions.model_validate({"weights": "random", "base_seed": seed, **SIZE})
    return load(name, options, lambda text: None).open(mode)


def said(**values: Any) -> WanParams:
    return WanParams.model_validate(values)


def camera(count: int, seed: int = 0) -> list[Frame]:
    draw = np.random.default_rng(seed)
    return [Frame.from_rgb(draw.integers(0, 255, (32, 48, 3), np.uint8), i / 16) for i in range(count)]


def pictures(frames: Any) -> Any:
    return np.stack([frame.rgb() for frame in frames])


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_dreams_and_the_same_seed_dreams_the_same(name: str) -> None:
    first, second, other = stream(name), stream(name), stream(name, seed=7)
    shown = [pictures(first.step(said(prompts="a cat"), ())) for _ in range(4)]
    again = [pictures(second.step(said(prompts="a cat"), ())) for _ in range(4)]
    assert all((a == b).all() for a, b in zip(shown, again, strict=True))
    chunk = first.recipe.policy.chunk
    assert len(shown[1]) == 4 * chunk and shown[0].shape[1:] == (32, 48, 3)
    assert (pictures(other.step(said(prompts="a cat"), ())) != shown[0]).mean() > 0.5


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_follows_a_video(name: str) -> None:
    running = stream(name, "video")
    chunk = running.recipe.policy.chunk
    for start in range(3):
        wanted = running.wants(said())
        assert wanted == 4 * chunk + (start == 0)
        made = running.step(said(prompts="x"), camera(wanted, start))
        assert len(made) == 4 * chunk - 3 * (start == 0), "the tiny codec's first latent shows one frame of four"


def test_a_reset_begins_the_same_shot_again() -> None:
    running = stream("longlive")
    first = pictures(running.step(said(prompts="a cat"), ()))
    running.step(said(prompts="a cat"), ())
    running.reset()
    assert (pictures(running.step(said(prompts="a cat"), ())) == first).all()


def test_prompts_matter_from_the_next_chunk_on() -> None:
    one, two = stream("longlive"), stream("longlive")
    for running in (one, two):
        running.step(said(prompts="a cat"), ())
    one.foresee(said(prompts="a dog"))
    one.parts.words.wait(["a dog"])
    assert (pictures(one.step(said(prompts="a dog"), ())) != pictures(two.step(said(prompts="a cat"), ()))).any()


def test_the_noise_scale_is_felt_with_the_controller_on() -> None:
    """Scope's controller leaves the user a tenth; ours moves the user's value a little."""

    def likeness(scale: float, rules: StreamRules | None = None) -> float:
        base = stream("longlive", "video")
        running = DiffusionStream(base.recipe, base.parts, "video", Seeded(1), rules)
        seen: list[float] = []
        original = running._noise_scale
        running._noise_scale = lambda video, params: seen.append(original(video, params)) or seen[-1]  # type: ignore[method-assign, func-returns-value]
        running.step(said(prompts="x", noise_scale=scale), camera(13))
        return seen[0]

    assert likeness(0.9) - likeness(0.3) == pytest.approx(0.6, abs=0.01)
    recorded = StreamRules(noise="recorded")
    assert likeness(0.9, recorded) - likeness(0.3, recorded) == pytest.approx(0.06, abs=0.01)


def test_later_steps_are_never_noisier_than_the_first() -> None:
    base = stream("longlive", "video")
    seen: list[tuple[float, ...]] = []
    original = base.denoising.run
    base.denoising.run = lambda job: seen.append(job.ts) or original(job)  # type: ignore[method-assign, func-returns-value]
    for scale in (0.2, 0.5, 0.9):
        base.step(said(prompts="x", noise_scale=scale, noise_controller=False), camera(base.wants(said())))
    assert all(a > b for ts in seen for a, b in zip(ts, ts[1:], strict=False)) and len(seen) == 3


def test_a_step_list_is_taken_live_and_checked_at_the_door() -> None:
    running = stream("longlive")
    running.step(said(prompts="x"), ())
    running.step(said(prompts="x", denoising_step_list=[1000, 500], manage_cache=False), ())
    assert running.start == 6
    running.step(said(prompts="x", denoising_step_list=[900, 500]), ())
    assert running.start == 3, "another list begins another shot, where the cache is managed"
    for bad in ([], [500, 500], [250, 500], [1001], [0]):
        with pytest.raises(ValueError, match="denoising_step_list"):
            said(denoising_step_list=bad)


@pytest.mark.parametrize("weights", ["auto", "preview", "random"])
def test_what_is_not_the_published_model_says_so(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))
    found = load("longlive", WanOptions.model_validate({"weights": weights, **SIZE}), lambda text: None)
    assert ("preview" if weights != "random" else "Random weights") in found.notice


def test_published_weights_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))
    with pytest.raises(NotFound, match=r"longlive_base\.pt .* fetch .*lora\.pt .* fetch Wan2\.1_VAE\.pth"):
        load("longlive", WanOptions.model_validate({"weights": "official", **SIZE}), lambda text: None)


def test_another_seed_is_another_video_from_a_cut_and_the_same_one_changes_nothing() -> None:
    base = load("longlive", WanOptions.model_validate({"weights": "random", "base_seed": 3, **SIZE}), lambda text: None)
    turned, fresh = base.open("text"), DiffusionStream(base.recipe, base.parts, "text", Seeded(7))
    for _ in range(2):
        turned.step(said(prompts="a cat", base_seed=3), ())
    assert turned.start == 6, "the seed it was loaded with is no change"
    wanted = fresh.step(said(prompts="a cat"), ())
    for chunk in range(2):
        got = turned.step(said(prompts="a cat", base_seed=7), ())
        assert (pictures(got) == pictures(wanted)).all()
        wanted = fresh.step(said(prompts="a cat"), ())
        assert turned.start == 3 * (chunk + 1)
