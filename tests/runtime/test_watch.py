"""Silence, restarts, failures, rates and allowances, all in a time that is passed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.runtime.failures import FailureCount, is_out_of_memory, sentence
from scope.runtime.stats import Allowance, RateMeter
from scope.runtime.watch import CHUNK_LOST_S, FIRST_CHUNKS_S, LOST_S, RESTART_WINDOW_S, RESTARTS, RestartBudget, Watch


class OutOfMemoryError(RuntimeError):
    """Called as torch calls it."""


def _running(now_s: float) -> Watch:
    watch = Watch(now_s)
    watch.loading = False
    return watch


def test_silence_is_noticed_within_a_second_and_a_hang_soon_after() -> None:
    watch = _running(100.0)
    assert watch.verdict(100.8) == "fine" and watch.verdict(101.0) == "silent"
    assert watch.verdict(100.1 + LOST_S) == "lost"
    watch.heard(103.0)
    assert watch.verdict(103.5) == "fine"


def test_a_worker_that_loads_may_be_silent_for_long() -> None:
    watch = Watch(0.0)
    assert watch.verdict(60.0) == "fine" and watch.verdict(121.0) == "lost"


def test_a_chunk_that_never_ends_is_a_hang_even_while_the_heart_beats() -> None:
    watch = _running(0.0)
    watch.beat(busy_s=0.8, chunks=50, chunk_s=0.01)
    assert watch.verdict(0.1) == "fine"
    watch.beat(busy_s=1.0, chunks=50, chunk_s=0.01)
    assert watch.verdict(0.1) == "silent", "a hang is noticed within a second"
    watch.beat(busy_s=CHUNK_LOST_S - 1, chunks=50, chunk_s=0.01)
    assert watch.verdict(0.1) == "silent"
    watch.beat(busy_s=CHUNK_LOST_S + 1, chunks=50, chunk_s=0.01)
    assert watch.verdict(0.1) == "lost"


def test_slow_models_and_first_chunks_are_given_their_time() -> None:
    watch = _running(0.0)
    watch.beat(busy_s=99.0, chunks=50, chunk_s=10.0)
    assert watch.verdict(0.1) == "fine"
    watch.beat(busy_s=101.0, chunks=50, chunk_s=10.0)
    assert watch.verdict(0.1) == "silent"
    watch.beat(busy_s=FIRST_CHUNKS_S - 1, chunks=0, chunk_s=0.0)
    assert watch.verdict(0.1) == "fine"
    watch.beat(busy_s=FIRST_CHUNKS_S + 1, chunks=0, chunk_s=0.0)
    assert watch.verdict(0.1) == "lost"


@given(deaths=st.lists(st.floats(0.0, 30.0), max_size=40))
def test_never_more_restarts_than_the_budget_in_any_window(deaths: list[float]) -> None:
    budget, now_s, allowed = RestartBudget(), 0.0, list[float]()
    for pause in deaths:
        now_s += pause
        recent = [at for at in allowed if now_s - at < RESTART_WINDOW_S]
        assert budget.allows(now_s) == (len(recent) < RESTARTS)
        if len(recent) < RESTARTS:
            allowed.append(now_s)


def test_three_failures_in_a_row_end_it_and_a_success_forgives() -> None:
    count, error = FailureCount(), ValueError("no")
    assert [count.gives_up(error) for _ in range(3)] == [False, False, True]
    count.succeeded()
    assert [count.gives_up(error) for _ in range(2)] == [False, False]


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_memory_that_ran_out_gets_one_retry(error: Exception) -> None:
    count = FailureCount()
    assert [count.gives_up(error) for _ in range(2)] == [False, True]
    assert is_out_of_memory(error) and "smaller picture" in sentence(error)


@pytest.mark.parametrize("error", [ValueError(), ValueError("a\nb" * 500), KeyError("x"), OutOfMemoryError("x" * 5000)])
def test_a_sentence_is_one_short_line(error: Exception) -> None:
    text = sentence(error)
    assert text and "\n" not in text and len(text) < 450


@given(hz=st.floats(1.0, 120.0), count=st.integers(3, 400))
def test_the_rate_is_what_happened_lately(hz: float, count: int) -> None:
    meter = RateMeter()
    for i in range(count):
        meter.tick(50.0 + i / hz)
    assert meter.rate_hz(50.0 + (count - 1) / hz) == pytest.approx(hz, rel=0.01)
    assert meter.count == count
    assert meter.rate_hz(50.0 + count / hz + 10.0) == 0.0


def test_reading_a_rate_changes_nothing() -> None:
    """It is read by other threads than the one that ticks."""
    meter = RateMeter()
    for at_s in (1.0, 1.5, 2.0):
        meter.tick(at_s)
    assert meter.rate_hz(100.0) == 0.0 and meter.rate_hz(2.0) == pytest.approx(2.0)


def test_one_event_has_no_rate() -> None:
    meter = RateMeter()
    assert meter.rate_hz(0.0) == 0.0
    meter.tick(1.0)
    assert meter.rate_hz(1.0) == 0.0


@given(steps=st.lists(st.floats(0.0, 2.0), max_size=200))
def test_an_allowance_never_gives_more_than_burst_and_rate(steps: list[float]) -> None:
    allowance, now_s, spent = Allowance(5.0, 20.0), 1000.0, 0
    for step in steps:
        now_s += step
        spent += allowance.spend(now_s)
    assert spent <= 20.0 + 5.0 * (now_s - 1000.0) + 1e-6


def test_an_allowance_comes_back_with_time() -> None:
    allowance = Allowance(5.0, 20.0)
    assert sum(allowance.spend(1000.0) for _ in range(50)) == 20
    assert sum(allowance.spend(1001.0) for _ in range(50)) == 5
