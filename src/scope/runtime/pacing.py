"""When the next output frame is due. Pure: the time is passed in, in seconds of one monotonic clock."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Protocol

FASTEST_HZ, SLOWEST_HZ = 60.0, 1.0
LATE_S = 0.010  # a source frame this late still counts as on time
REANCHOR_S = 0.5  # further off than this, the old anchor means nothing
GAP_S, GAP_INTERVALS = 0.25, 8.0  # a hole this long in the source's own time is a new beginning
DRIFT = 0.05  # share of a frame's earliness by which the anchor moves towards "now"
MELT = 0.8  # share of its interval after which a frame leaves while more than a chunk is waiting
MARGIN_S = 0.004  # how much before it is due a chunk should be finished


class Pace(Protocol):
    """Turns a burst of frames into an even flow."""

    def produced(self, frames: int, took_s: float, now_s: float, lead_s: float | None = None) -> None:
        """A chunk of `frames` was made. One can be made every `took_s`; it is ready `lead_s` (else `took_s`) after it began."""

    def due_s(self, time_s: float, backlog: int, now_s: float) -> float:
        """When the frame at the head of the queue, with `backlog` more behind it, should leave."""

    def sent(self, time_s: float, now_s: float) -> None:
        """The frame at the head has left."""

    def start_s(self, backlog: int, now_s: float) -> float:
        """When to begin the next chunk, with `backlog` frames still waiting: late enough to hear the newest knob."""


class EvenPace:
    """For what is made in chunks: spread over time at the declared rate, else at the rate at which it is really made."""

    def __init__(self, declared_hz: float | None = None) -> None:
        self._declared_hz = declared_hz
        self._made: deque[tuple[int, float]] = deque(maxlen=10)  # (frames, took_s) of the last chunks
        self._leads_s: deque[float] = deque(maxlen=10)
        self._last_s: float | None = None  # when the last frame was due
        self._due_s = float("-inf")  # when the frame at the head is due

    @property
    def rate_hz(self) -> float:
        if self._declared_hz is not None:
            return self._declared_hz
        took_s = sum(t for _, t in self._made)
        frames = sum(n for n, _ in self._made)
        return min(FASTEST_HZ, max(SLOWEST_HZ, frames / took_s)) if frames and took_s > 0 else FASTEST_HZ

    def produced(self, frames: int, took_s: float, now_s: float, lead_s: float | None = None) -> None:
        self._made.append((frames, took_s))
        self._leads_s.append(took_s if lead_s is None else lead_s)

    def due_s(self, time_s: float, backlog: int, now_s: float) -> float:
        if self._last_s is None:
            return now_s
        self._due_s = self._last_s + self._interval_s(backlog)
        return now_s if now_s - self._due_s > max(GAP_S, self._interval_s(backlog)) else self._due_s

    def _interval_s(self, backlog: int) -> float:
        """A little faster when more than a chunk is waiting, so that a backlog melts instead of staying as latency."""
        chunk = self._made[-1][0] if self._made else 1
        excess = max(0.0, backlog + 1 - chunk) / chunk if self._declared_hz is None else 0.0
        return (1.0 - (1.0 - MELT) * min(1.0, excess)) / self.rate_hz

    def sent(self, time_s: float, now_s: float) -> None:
        """Keep the even grid; begin a new one after a stall, without making up for lost time.

        A declared rate is owed, so a late frame is made good by the next. A measured one is not: what came late moves the
        grid, which leaves as much in the queue as the chunks are uneven.
        """
        patience_s = LATE_S if self._declared_hz is None else max(GAP_S, self._interval_s(0)) / 2
        self._last_s = now_s if now_s - self._due_s > patience_s else self._due_s

    def start_s(self, backlog: int, now_s: float) -> float:
        if self._last_s is None or not self._made:
            return now_s
        return self._last_s + (backlog + 1) / self.rate_hz - 1.25 * median(self._leads_s) - MARGIN_S


class SourcePace:
    """For what keeps the source's time: each frame leaves as long after the first as it was taken after the first.

    The anchor creeps towards the earliest frames, so that one late beginner does not become everyone's latency.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None  # our clock minus the source's
        self._last_time_s: float | None = None
        self._interval_s = 1.0 / 30.0
        self._sent_s = 0.0
        self._chunk = 1  # frames that come at once

    def produced(self, frames: int, took_s: float, now_s: float, lead_s: float | None = None) -> None:
        """The source sets the rate."""
        self._chunk = frames

    def due_s(self, time_s: float, backlog: int, now_s: float) -> float:
        if self._offset_s is None or self._is_gap(time_s):
            return now_s
        due = time_s + self._offset_s
        if backlog >= self._chunk and self._last_time_s is not None:
            due = min(due, self._sent_s + MELT * (time_s - self._last_time_s))
        return due if abs(due - now_s) <= REANCHOR_S else now_s

    def _is_gap(self, time_s: float) -> bool:
        if self._last_time_s is None:
            return False
        step = time_s - self._last_time_s
        return step <= 0 or step >= max(GAP_S, GAP_INTERVALS * self._interval_s)

    def sent(self, time_s: float, now_s: float) -> None:
        offset = now_s - time_s
        if self._offset_s is None or self._is_gap(time_s) or abs(offset - self._offset_s) > REANCHOR_S:
            self._offset_s = offset
        elif offset > self._offset_s + LATE_S:
            self._offset_s += DRIFT * (offset - self._offset_s)
        else:
            self._offset_s = min(offset, self._offset_s - DRIFT * LATE_S)
        if self._last_time_s is not None and not self._is_gap(time_s):
            self._interval_s += 0.1 * (time_s - self._last_time_s - self._interval_s)
        self._last_time_s, self._sent_s = time_s, now_s

    def start_s(self, backlog: int, now_s: float) -> float:
        return now_s
