"""The rate of one viewer, with numbers written by hand."""

from __future__ import annotations

import pytest

from scope.edges.rate import CEILING_BPS, DEFAULT_CAP_BPS, FLOOR_BPS, RatePolicy, ceiling_bps, start_bps

SQUARE = 512 * 512


def settled(target: RatePolicy, *, from_s: float = 0.0) -> int:
    for step in range(100):
        bps = target.target_bps(SQUARE, from_s + step)
    return bps


def test_starts_at_three_megabits_and_scales_with_the_picture() -> None:
    assert start_bps(SQUARE) == 3_000_000
    assert 2_000_000 < start_bps(576 * 320) < 2_500_000
    assert start_bps(64 * 64) == FLOOR_BPS
    assert start_bps(3840 * 2160) == DEFAULT_CAP_BPS
    assert RatePolicy().target_bps(SQUARE, 0.0) == 3_000_000


def test_follows_a_full_link_down_at_once() -> None:
    policy = RatePolicy()
    policy.target_bps(SQUARE, 0.0)
    policy.estimated(1_200_000, sent_bps=2_800_000)
    assert policy.target_bps(SQUARE, 0.1) == 960_000


def test_an_estimate_far_below_what_is_sent_counts_only_with_losses() -> None:
    policy = RatePolicy()
    policy.target_bps(SQUARE, 0.0)
    policy.estimated(200_000, sent_bps=2_800_000)
    assert policy.target_bps(SQUARE, 0.1) == 3_000_000
    policy.lost(0.3)
    policy.estimated(200_000, sent_bps=2_800_000)
    assert policy.target_bps(SQUARE, 0.2) == FLOOR_BPS


def test_a_still_picture_does_not_starve_the_one_after_it() -> None:
    policy = RatePolicy()
    policy.target_bps(SQUARE, 0.0)
    policy.estimated(55_000, sent_bps=60_000)
    assert policy.target_bps(SQUARE, 1.0) == 3_000_000


def test_rises_slowly_and_stays_below_the_ceiling() -> None:
    policy = RatePolicy()
    policy.target_bps(SQUARE, 0.0)
    policy.estimated(1_000_000, sent_bps=2_800_000)
    policy.target_bps(SQUARE, 1.0)
    policy.estimated(100_000_000, sent_bps=800_000)
    assert policy.target_bps(SQUARE, 2.0) == pytest.approx(960_000, abs=1)
    assert settled(policy, from_s=2.0) == ceiling_bps(SQUARE) == 6_000_000


def test_losses_alone_lower_the_rate_and_quiet_reports_restore_it() -> None:
    policy = RatePolicy()
    policy.target_bps(SQUARE, 0.0)
    policy.lost(0.4)
    assert policy.target_bps(SQUARE, 0.1) == 2_400_000
    for step in range(10):
        policy.lost(0.0)
        raised = policy.target_bps(SQUARE, 1.0 + step)
    assert 3_000_000 < raised <= 6_000_000


@pytest.mark.parametrize("cap_bps", [1_000_000, 100_000_000])
def test_never_leaves_its_bounds(cap_bps: int) -> None:
    policy = RatePolicy(cap_bps)
    policy.target_bps(SQUARE, 0.0)
    policy.estimated(1e12, sent_bps=1e6)
    assert settled(policy) <= min(cap_bps, CEILING_BPS)
    policy.lost(1.0)
    policy.estimated(0, sent_bps=1e8)  # while we push
    assert policy.target_bps(SQUARE, 1000.0) == FLOOR_BPS
