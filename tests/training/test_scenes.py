"""The scenes: the same seed gives the same clip, every scene is a picture that moves, and captions say what is seen."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.scenes import PAINTERS, Change, Shot, altered, camera, caption, drawn, motions, named, render, shot_of
from training.scenes.clip import ramps_known

HEIGHT, WIDTH = 48, 80


@pytest.mark.parametrize("scene", PAINTERS)
def test_every_scene_is_a_picture_that_moves_and_is_the_same_again(scene: str) -> None:
    motion = "drift" if "drift" in motions(scene) else "none"
    shot = Shot(scene, "teal", motion=motion, speed="fast", seed=7)
    clip = render(shot, 8, HEIGHT, WIDTH, first=10)
    assert clip.shape == (8, HEIGHT, WIDTH, 3) and clip.dtype == torch.uint8
    assert clip.float().std() > 8, "not a flat colour"
    assert (clip[0].float() - clip[-1].float()).abs().mean() > 0.2, "it moves"
    assert torch.equal(clip, render(shot, 8, HEIGHT, WIDTH, first=10))
    assert torch.equal(clip[4:6], render(shot, 2, HEIGHT, WIDTH, first=14)), "a clip may be painted in parts"
    assert not torch.equal(clip, render(Shot(scene, "teal", motion=motion, speed="fast", seed=8), 8, HEIGHT, WIDTH, first=10))


def test_there_are_scenes_enough() -> None:
    assert len(PAINTERS) >= 16 and len(ramps_known()) >= 8


@pytest.mark.parametrize("size", [(16, 16), (33, 61), (128, 72)])
def test_any_size(size: tuple[int, int]) -> None:
    assert render(drawn(3), 1, *size).shape == (1, *size, 3)


def test_palettes_are_told_apart() -> None:
    means = {name: render(Shot("plasma", name, seed=1), 1, HEIGHT, WIDTH).float().mean((0, 1, 2)) for name in ramps_known()}
    colours = torch.stack(list(means.values()))
    apart = torch.cdist(colours, colours) + 1e3 * torch.eye(len(colours))
    assert apart.min() > 4


def test_still_is_slower_than_fast() -> None:
    def pace(speed: str) -> float:
        clip = render(Shot("plasma", "blue", motion="drift", speed=speed, seed=2), 6, HEIGHT, WIDTH).float()
        return float(clip.diff(dim=0).abs().mean())

    assert pace("slow") < 0.6 * pace("none") < 0.6 * pace("fast")


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_caption_says_what_was_drawn(seed: int) -> None:
    shot = drawn(seed)
    assert shot.motion in motions(shot.scene)
    said = named(caption(shot, seed))
    for slot in ("scene", "palette", "motion", "speed"):
        wanted = getattr(shot, slot)
        assert said.get(slot, "none") == wanted, caption(shot, seed)
    for slot in ("style", "time"):
        assert said.get(slot, "none") in ("none", getattr(shot, slot)), caption(shot, seed)


def test_captions_vary_and_repeat() -> None:
    shot = drawn(5)
    said = {caption(shot, seed) for seed in range(40)}
    assert len(said) > 15 and caption(shot, 3) == caption(shot, 3)


def test_free_text_becomes_a_shot() -> None:
    shot = shot_of("slow neon city at night in purple", 4)
    assert (shot.scene, shot.palette, shot.speed, shot.style, shot.time) == ("city", "purple", "slow", "neon", "night")
    assert shot_of("xyzzy", 1).scene in PAINTERS


def test_a_change_goes_from_the_first_shot_to_the_second() -> None:
    first, second = Shot("ocean", "blue", seed=1), Shot("fire", "red", seed=2)
    clip = render(first, 14, HEIGHT, WIDTH, change=Change(second, 4, 6)).float()
    before, after = render(first, 14, HEIGHT, WIDTH).float(), render(second, 14, HEIGHT, WIDTH).float()
    assert torch.equal(clip[:4], before[:4]) and torch.equal(clip[-3:], after[-3:])
    nearness = (clip[4:10] - after[4:10]).abs().mean((1, 2, 3))
    assert (nearness.diff() < 2).all() and nearness[-1] < nearness[0], "monotone, but for the motion itself"
    assert altered(first, 3) != first


def test_the_camera_shows_someone_moving() -> None:
    clip = camera(3, 6, HEIGHT, WIDTH)
    assert clip.shape == (6, HEIGHT, WIDTH, 3) and clip.float().std() > 10
    assert not torch.equal(clip[0], clip[5]) and torch.equal(clip, camera(3, 6, HEIGHT, WIDTH))
