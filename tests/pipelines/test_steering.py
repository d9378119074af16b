"""VACE through the stream on small random networks: what a user gives changes the picture, and only while it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scope.contract import Mode
from scope.errors import BadInput, NotFound
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.images import KNOWN, Images
from scope.pipelines.recipes import RECIPES
from tests.pipelines.small import camera, pictures, pipeline, said


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))
    assets = tmp_path / "assets"
    assets.mkdir()
    draw = np.random.default_rng(0)
    for name, size in (("ref.png", (40, 100)), ("end.jpg", (64, 64))):
        Image.fromarray(draw.integers(0, 255, (*size, 3), np.uint8)).save(assets / name)
    Image.new("L", (48, 32), 255).save(assets / "all.png")
    Image.new("L", (48, 32), 0).save(assets / "none.png")
    return assets


def steered(name: str, mode: Mode = "text") -> DiffusionStream:
    return pipeline(name, vace_enabled=True).open(mode)


def second_chunk(name: str = "longlive", mode: Mode = "text", seed: int = 0, **given: Any) -> Any:
    """The second chunk of a stream whose first was the same for everyone."""
    running = steered(name, mode)
    for chunk in range(2):
        values = given if chunk else {}
        frames = camera(running.wants(said()), seed if chunk else 0)
        last = running.step(said(prompts="a cat", **values), frames)
    return pictures(last)


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_takes_references_end_frames_and_a_control_video(name: str) -> None:
    plain = second_chunk(name)
    assert (second_chunk(name, vace_ref_images=["ref.png"]) != plain).any()
    assert (second_chunk(name, first_frame_image="end.jpg") != plain).any()
    assert (second_chunk(name, last_frame_image="end.jpg") != plain).any()
    assert (second_chunk(name, vace_ref_images=["ref.png"], vace_enabled=False) == plain).all()
    assert (second_chunk(name, "video", 1) != second_chunk(name, "video", 2)).any()


@pytest.mark.parametrize("name", RECIPES)
def test_end_frames_may_come_with_the_first_chunk(name: str) -> None:
    """The original crashes there with StreamDiffusionV2."""
    chunk = RECIPES[name].policy.chunk
    running = steered(name)
    made = running.step(said(prompts="x", first_frame_image="end.jpg"), ())
    assert len(made) and running.start == (RECIPES[name].first_chunk or chunk)
    assert len(running.step(said(prompts="x"), ())) == 4 * chunk


def test_the_input_video_is_painted_over_or_followed() -> None:
    over = second_chunk(mode="video", vace_use_input_video=False, noise_scale=0.2)
    follows = second_chunk(mode="video", noise_scale=0.2)
    assert (over != follows).any()
    assert (follows == second_chunk(mode="video", noise_scale=0.9)).all(), "control does not ask for noise"


def test_the_scale_and_the_mask_are_felt() -> None:
    shown = {scale: second_chunk(mode="video", vace_context_scale=scale) for scale in (0.0, 0.5, 2.0)}
    assert (shown[0.5] != shown[2.0]).any() and (shown[0.0] != shown[0.5]).any()
    new, kept = (second_chunk(mode="video", vace_mask_image=name) for name in ("all.png", "none.png"))
    assert (new == second_chunk(mode="video")).all() and (kept != new).any()


def test_images_come_from_the_assets_only(home: Path) -> None:
    images = Images(home)
    assert images("ref.png").shape == (40, 100, 3) and images(str(home / "ref.png")) is images("ref.png")
    (home.parent / "secret.png").write_bytes((home / "ref.png").read_bytes())
    (home / "link.png").symlink_to(home.parent / "secret.png")
    (home / "not.png").write_text("not an image")
    for name in ("../secret.png", str(home.parent / "secret.png"), "link.png", "nothing.png", ".", ""):
        with pytest.raises(NotFound):
            images(name)
    with pytest.raises(BadInput, match="not an image"):
        images("not.png")


def test_images_are_read_again_when_they_change_and_few_are_kept(home: Path) -> None:
    images = Images(home)
    before = images("ref.png")
    Image.new("RGB", (8, 8)).save(home / "ref.png")
    assert images("ref.png").shape != before.shape
    for number in range(KNOWN + 5):
        Image.new("RGB", (8, 8)).save(home / f"{number}.png")
        images(f"{number}.png")
    assert len(images._known) == KNOWN


def test_what_cannot_be_used_is_said_once_and_left_out() -> None:
    running = steered("streamdiffusionv2")
    for _ in range(3):
        running.step(said(prompts="x", vace_ref_images=["gone.png"]), ())
    running.step(said(prompts="x", first_frame_image="ref.png", last_frame_image="end.jpg"), ())
    words = [news.message["message"] for news in running.news() if news.message["type"] == "warning"]
    assert len(words) == 2 and "gone.png" in words[0] and "at least 8 frames" in words[1]
    assert running.start == 5


def test_a_stage_in_front_marks_what_is_made_new() -> None:
    """`vace_input_masks` of the contract: frames carry them; the marks of a chunk are worth more than the standing image."""

    def chunk(*marks: np.ndarray | None, **given: Any) -> Any:
        running = steered("longlive", "video")
        running.step(said(prompts="a cat"), camera(running.wants(said()), 0))
        frames = camera(running.wants(said()), 1)
        for frame, mark in zip(frames, marks * len(frames), strict=False):
            frame.mask = mark
        return pictures(running.step(said(prompts="a cat", **given), frames))

    new, kept = np.full((8, 6), 255, np.uint8), np.zeros((32, 48), np.uint8)
    left = np.repeat(np.array([[255, 0]], np.uint8), 4, 0)
    plain = chunk(None)
    assert (chunk(new) == plain).all() and (chunk(new, vace_mask_image="none.png") == plain).all()
    assert (chunk(kept) == chunk(None, vace_mask_image="none.png")).all() and (chunk(kept) != plain).any()
    assert (chunk(left) != plain).any() and (chunk(left) != chunk(kept)).any()
    assert (chunk(kept, None, None, None) != chunk(kept)).any(), "a frame without a mark is made new"
