"""The yardsticks: each tells apart what it is there to tell apart."""

from __future__ import annotations

import pytest
import torch

from scope.pipelines import bundled
from training.autoencoder import pixels
from training.generated import Made, asked, clip_of, edges_alike, look, palette_distance, stability, transition
from training.judge import AT, SEEN, SIZE, glimpses
from training.library import apart
from training.scenes import Shot, render

SIDES = (96, 160)


def clip(shot: Shot) -> torch.Tensor:
    return pixels(render(shot, SEEN, *SIDES)).transpose(0, 1)


@pytest.mark.parametrize("palette", ["blue", "red", "green"])
def test_a_clip_is_nearest_to_its_own_palette(palette: str) -> None:
    seen = clip(Shot("plasma", palette, seed=3))
    distances = {name: palette_distance(seen, name) for name in ("blue", "red", "green")}
    assert min(distances, key=distances.__getitem__) == palette and distances[palette] < 0.06


def test_what_may_drift_is_measured() -> None:
    slow, fast = (look(clip(Shot("plasma", "pink", motion="drift", speed=speed, seed=1)), "pink") for speed in ("slow", "fast"))
    grey = look(clip(Shot("plasma", "mono", seed=1)), "mono")
    assert slow["motion"] < 0.7 * fast["motion"] and grey["saturation"] < 0.02 < slow["saturation"] and slow["sharpness"] > 0


def test_edges_are_alike_in_another_colour_and_not_in_another_scene() -> None:
    city, painted, sea = (clip(Shot(*names, seed=2)) for names in (("city", "blue"), ("city", "red"), ("ocean", "blue")))
    assert edges_alike(city, painted) > 0.7 > edges_alike(city, sea) + 0.2


def test_prompts_are_of_pairs_known_or_kept_apart() -> None:
    assert not any(apart(shot.scene, shot.palette) for shot in asked(44, unseen=False))
    assert all(apart(shot.scene, shot.palette) for shot in asked(30, unseen=True))


def test_glimpses_see_the_whole_clip() -> None:
    seen = torch.zeros(1, SEEN, 3, *SIDES)
    assert glimpses(seen).shape == (1, 3 * len(AT) + 3 * (len(AT) - 1), *SIZE)
    seen[:, AT[-1]] = 1
    assert glimpses(seen).any()


def test_the_product_is_measured_through_its_own_stream() -> None:
    made = Made(bundled.FOLDER, size=(128, 128))
    found = clip_of(made.frames("blue ocean", 1), 5)
    assert found.shape == (5, 3, 128, 128) and -1 <= found.min() < found.max() <= 1
    moved = transition(made, Shot("ocean", "blue"), Shot("fire", "red"), chunks=3)
    assert len(moved["share_of_the_way"]) == 9 and moved["share_of_the_way"][-1] > moved["share_of_the_way"][0] + 0.1
    steady = stability(made, [Shot("ocean", "blue")], 72)
    assert set(steady["last_over_first"]) == {"sharpness", "saturation", "motion", "palette_distance"}
