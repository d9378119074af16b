"""Pacing in simulated time: even, without fast-forward, without latency that stays."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scope.runtime.pacing import FASTEST_HZ, LATE_S, REANCHOR_S, SLOWEST_HZ, EvenPace, Pace, SourcePace

Arrival = tuple[float, Sequence[float], float]  # when a chunk is there, the times of its frames, how long it took


def play(pace: Pace, arrivals: Sequence[Arrival]) -> list[float]:
    """When each frame leaves, if the clock obeys `pace` to the letter."""
    queue: deque[float] = deque()
    left: list[float] = []
    coming, now = deque(arrivals), 0.0
    while coming or queue:
        due = max(now, pace.due_s(queue[0], len(queue) - 1, now)) if queue else float("inf")
        if coming and coming[0][0] <= due:
            now, times, took = coming.popleft()
            now = max(now, left[-1] if left else now)
            pace.produced(len(times), took, now)
            queue.extend(times)
            continue
        now = due
        pace.sent(queue.popleft(), now)
        left.append(now)
    return left


def bursts(count: int, size: int, every_s: float, start_s: float = 10.0) -> list[Arrival]:
    return [(start_s + i * every_s, [0.0] * size, every_s) for i in range(count)]


def intervals(left: Sequence[float]) -> list[float]:
    return [float(step) for step in np.diff(left)]


def closed_loop(pace: Pace, size: int, took: Callable[[], float], seconds: float) -> tuple[list[float], float]:
    """A loop that begins each chunk when the pace says; gives departures and how old the newest knob was at most."""
    now, left, queue = 0.0, list[float](), 0
    ready: float | None = None
    began, oldest = 0.0, 0.0
    while now < seconds:
        if ready is None and pace.start_s(queue, now) <= now + 1e-9:
            began, ready = now, now + took()
        if queue and pace.due_s(0.0, queue - 1, now) <= now + 1e-9:
            pace.sent(0.0, now)
            queue -= 1
            left.append(now)
            continue
        if ready is not None and ready <= now + 1e-9:
            pace.produced(size, now - began, now)
            oldest, queue, ready = max(oldest, now - began), queue + size, None
            continue
        options = [pace.due_s(0.0, queue - 1, now)] if queue else []
        options.append(ready if ready is not None else pace.start_s(queue, now))
        now = max(now + 1e-6, min(options))
    return left, oldest


@given(size=st.integers(2, 24), every=st.floats(0.25, 2.0))
def test_bursts_leave_evenly_spaced(size: int, every: float) -> None:
    """Contract, appendix B 26: within 20%."""
    if not 1.3 * SLOWEST_HZ < size / every < 0.8 * FASTEST_HZ:
        return
    left = play(EvenPace(), bursts(12, size, every))
    steady = intervals(left)[3 * size :]
    assert max(abs(step - every / size) for step in steady) <= 0.2 * every / size


def test_a_burst_of_twelve_a_second_is_even_from_its_second_frame() -> None:
    left = play(EvenPace(), bursts(10, 12, 1.0))
    assert max(abs(step - 1 / 12) for step in intervals(left)) <= 0.2 / 12


@pytest.mark.parametrize("seed", range(5))
def test_bursts_that_come_a_little_late_or_early_still_leave_evenly(seed: int) -> None:
    """A chunk takes 1 s give or take 5%: after a second of learning no frame is hurried and none waits twice its turn."""
    noise = random.Random(seed)
    arrivals, now = [], 10.0
    for _ in range(60):
        took = 1.0 + noise.uniform(-0.05, 0.05)
        now += took
        arrivals.append((now, [0.0] * 12, took))
    steady = np.array(intervals(play(EvenPace(), arrivals))[60:])
    assert steady.min() > 0.5 / 12 and steady.max() < 2.0 / 12
    assert np.mean(np.abs(steady - 1 / 12) <= 0.2 / 12) > 0.97


@given(stall=st.floats(0.6, 60.0))
def test_after_a_stall_there_is_no_fast_forward(stall: float) -> None:
    before = bursts(5, 12, 1.0)
    after = [(arrival[0] + stall, arrival[1], arrival[2]) for arrival in bursts(5, 12, 1.0, start_s=15.0)]
    left = play(EvenPace(), [*before, *after])
    assert min(intervals(left)[60:]) > 0.8 / 12


def test_a_backlog_melts() -> None:
    """Three chunks come at once: the latency they bring is gone again a few chunks later."""
    normal = bursts(4, 12, 1.0)
    heap: list[Arrival] = [(14.0, [0.0] * 12, 1.0)] * 3
    later = bursts(40, 12, 1.0, start_s=15.0)
    left = play(EvenPace(), [*normal, *heap, *later])
    latency = left[-1] - later[-1][0]
    assert latency < 1.5
    assert max(abs(step - 1 / 12) for step in intervals(left)[-24:]) <= 0.2 / 12


@given(rate=st.floats(5.0, 60.0), size=st.integers(1, 12))
def test_the_declared_rate_is_kept(rate: float, size: int) -> None:
    left, _ = closed_loop(EvenPace(rate), size, lambda: 0.002, 10.0)
    assert len(left) == pytest.approx(rate * 10.0, abs=3 + size)
    assert max(abs(step - 1 / rate) for step in intervals(left)[5:]) < 0.002


def test_the_declared_rate_is_kept_when_chunks_are_a_little_late() -> None:
    """30 of 30: what one late frame loses, the next one makes good."""
    noise = random.Random(3)
    left, _ = closed_loop(EvenPace(30.0), 1, lambda: noise.choice([0.002, 0.002, 0.002, 0.02]), 20.0)
    assert len(left) == pytest.approx(600, abs=6)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 12), took=st.floats(0.05, 1.5), jitter=st.floats(0.0, 0.1))
def test_beginning_late_never_starves_the_output(size: int, took: float, jitter: float) -> None:
    """Where the model is the bottleneck, it is kept as busy as it can be."""
    if not SLOWEST_HZ < size / took < 0.9 * FASTEST_HZ:
        return
    noise = random.Random(1)
    left, _ = closed_loop(EvenPace(), size, lambda: took * noise.uniform(1 - jitter, 1 + jitter), 40 * took)
    assert len(left) >= 0.9 * size * 38


def test_a_fast_model_begins_just_in_time() -> None:
    """A chunk that takes 5 ms of 33 begins at most 20 ms before it is shown, and the knob it read is as young."""
    pace = EvenPace(30.0)
    closed_loop(pace, 1, lambda: 0.005, 3.0)
    last = pace.due_s(0.0, 0, 3.0)
    assert 0.005 <= last - pace.start_s(0, 3.0) <= 0.020


def test_a_rate_is_never_absurd() -> None:
    pace = EvenPace()
    assert pace.rate_hz == FASTEST_HZ
    pace.produced(1, 0.0, 0.0)
    assert pace.rate_hz == FASTEST_HZ
    for _ in range(10):
        pace.produced(1, 500.0, 0.0)
    assert pace.rate_hz == SLOWEST_HZ


# -- the source's own time ----------------------------------------------------------------------------------------------


def source(count: int, hz: float, *, late: Callable[[int], float] = lambda i: 0.0, start_s: float = 5.0) -> list[Arrival]:
    """Frames taken at an even rate that arrive when they arrive."""
    return [(start_s + i / hz + late(i), [1000.0 + i / hz], 0.001) for i in range(count)]


def latencies(arrivals: Sequence[Arrival], left: Sequence[float]) -> list[float]:
    taken = [times[0] - 1000.0 for _, times, _ in arrivals]
    return [out - time for out, time in zip(left, taken, strict=True)]


@given(hz=st.floats(5.0, 60.0))
def test_the_spacing_of_the_source_is_respected(hz: float) -> None:
    left = play(SourcePace(), source(200, hz))
    assert intervals(left) == pytest.approx([1 / hz] * 199, abs=1e-3)


def test_an_uneven_source_stays_uneven() -> None:
    times = [0.0, 0.02, 0.10, 0.12, 0.20, 0.22, 0.30]
    left = play(SourcePace(), [(5.0 + t, [1000.0 + t], 0.001) for t in times])
    assert intervals(left) == pytest.approx(list(np.diff(times)), abs=2e-3)


def test_frames_that_arrive_together_leave_apart() -> None:
    """A network that delivers in pairs: the first waits for nobody, the second for its time."""
    arrivals = source(120, 30.0, late=lambda i: (i % 2 == 0) / 30.0)
    left = play(SourcePace(), arrivals)
    assert min(intervals(left)[60:]) > 0.4 / 30.0


@pytest.mark.parametrize("seed", range(3))
def test_jitter_does_not_become_latency(seed: int) -> None:
    """Each frame is up to 8 ms late; nobody waits longer than that, even after two minutes."""
    noise = random.Random(seed)
    late = [noise.uniform(0.0, 0.008) for _ in range(3600)]
    arrivals = source(3600, 30.0, late=lambda i: late[i])
    left = play(SourcePace(), arrivals)
    assert max(latencies(arrivals, left)) - 5.0 < 0.008 + LATE_S
    assert intervals(left) == pytest.approx([1 / 30] * 3599, abs=0.012)


def test_one_late_beginner_does_not_become_everyones_latency() -> None:
    arrivals = source(600, 30.0, late=lambda i: 0.2 if i == 0 else 0.0)
    arrivals.sort()
    left = play(SourcePace(), arrivals)
    assert latencies(arrivals, left)[-1] - 5.0 < 0.02


@pytest.mark.parametrize("ppm", [-500, 50, 500])
def test_a_source_whose_clock_runs_fast_or_slow_does_not_drift_away(ppm: int) -> None:
    """Ten minutes at 30 fps: 500 ppm are 300 ms, none of which may stay."""
    speed = 1.0 + ppm * 1e-6
    arrivals: list[Arrival] = [(5.0 + i / 30.0, [1000.0 + i / 30.0 * speed], 0.001) for i in range(0, 18000)]
    left = play(SourcePace(), arrivals)
    waits = [out - arrival[0] for out, arrival in zip(left, arrivals, strict=True)]
    assert max(waits) < 0.03


@pytest.mark.parametrize("jump", [-3600.0, -0.4, 0.3, 7.0, 3600.0])
def test_a_jump_in_the_sources_time_is_a_new_beginning(jump: float) -> None:
    """The camera is replaced or the file loops: the next frame leaves at once, and the rest keeps its spacing."""
    arrivals = source(300, 30.0)
    arrivals = [(when, [times[0] + jump * (i >= 150)], took) for i, (when, times, took) in enumerate(arrivals)]
    left = play(SourcePace(), arrivals)
    assert max(out - arrival[0] for out, arrival in zip(left, arrivals, strict=True)) < 0.02


@pytest.mark.parametrize("hiccup", [0.2, 0.45, 0.7, 1.5])
def test_after_a_hiccup_the_latency_it_brought_melts(hiccup: float) -> None:
    """For a moment nothing arrives, then all of it at once: soon no latency, and after a long one no fast-forward either."""
    arrivals = [(7.0 + hiccup if 7.0 <= a[0] < 7.0 + hiccup else a[0], *a[1:]) for a in source(600, 30.0)]
    left = play(SourcePace(), arrivals)
    waits = [out - arrival[0] for out, arrival in zip(left, arrivals, strict=True)]
    assert max(waits[60 + int(30 * 6 * hiccup) :]) < 0.03
    assert hiccup < REANCHOR_S or min(intervals(left)) > 0.7 / 30
