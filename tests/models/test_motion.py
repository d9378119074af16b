"""Noise by motion and the schedule's conversions, with numbers written by hand."""

from __future__ import annotations

import pytest
import torch

from scope.errors import BadParams
from scope.models.flow import Schedule, clean, first_step, mix, renoise
from scope.models.motion import motion, recursive_noise_scale, scope_noise_scale


def test_still_and_moving_pictures() -> None:
    still = torch.zeros(1, 3, 5, 4, 4)
    moving = still.clone()
    moving[:, :, 1::2] = 1.0
    assert motion(still, still) == 0.0 and motion(still, moving) == 1.0
    assert scope_noise_scale(still, None, 3, 0.7) == pytest.approx(0.79)
    assert scope_noise_scale(moving, None, 3, 0.7) == pytest.approx(0.61)
    assert scope_noise_scale(still, torch.ones(1, 3, 1, 4, 4), 3, 0.7) == pytest.approx(0.61)
    assert recursive_noise_scale(still, 0.8, 0.5) == pytest.approx(0.77)
    assert recursive_noise_scale(moving, 0.8, 0.5) == pytest.approx(0.68)


def test_half_motion_is_in_between() -> None:
    small = torch.zeros(1, 3, 2, 4, 4)
    small[:, :, 1] = 0.1
    assert motion(small[:, :, 1:], small[:, :, :-1]) == pytest.approx(0.5)


def test_noise_and_flow_are_inverses() -> None:
    x0, noise = torch.randn(1, 2, 16, 2, 2), torch.randn(1, 2, 16, 2, 2)
    sigma = Schedule(5.0).sigma(625)
    torch.testing.assert_close(clean(renoise(x0, noise, sigma), noise - x0, sigma), x0, atol=1e-5, rtol=0)
    assert clean(x0.bfloat16(), noise.bfloat16(), sigma).dtype == torch.bfloat16


def test_table_ends_and_lookup() -> None:
    schedule = Schedule(5.0)
    assert schedule.sigma(1000) == 1.0 and schedule.sigma(0) == schedule.sigma(-50) == pytest.approx(0.00498, abs=1e-5)
    assert schedule.warp([1000, 750]) == [1000.0, 937.5]
    with pytest.raises(BadParams):
        Schedule(0.0)


def test_video_start() -> None:
    assert first_step(0.7) == 600 and first_step(0.79) == 690
    assert mix(torch.ones(2), torch.zeros(2), 0.25).tolist() == [0.25, 0.25]
