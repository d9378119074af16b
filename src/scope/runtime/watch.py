"""When a worker counts as lost, and when restarting it has become pointless. Pure: the time is passed in."""

from __future__ import annotations

from collections import deque
from typing import Literal

SILENT_S = 0.9  # a running worker beats five times a second: this long without a word is worth a warning
LOST_S = 3.0  # ... and this long means that it hangs; a machine under load may well be late by a second
LOADING_LOST_S = 120.0  # importing and reading weights may hold the interpreter for long
FIRST_CHUNKS_S = 300.0  # compilation and warm-up
CHUNK_SLOW_TIMES = 10.0  # later: a chunk of so many times the usual, and of SILENT_S, is worth a warning
CHUNK_LOST_S, CHUNK_LOST_TIMES = 10.0, 30.0  # ... and of so many times, and of this long, hangs
RESTARTS, RESTART_WINDOW_S = 3, 60.0

Verdict = Literal["fine", "silent", "lost"]


class Watch:
    """Listens for heartbeats."""

    def __init__(self, now_s: float) -> None:
        self._heard_s = now_s
        self._busy_s = 0.0
        self._chunk_s = 0.0
        self._chunks = 0
        self.loading = True

    def heard(self, now_s: float) -> None:
        """Any word from the worker proves that it lives."""
        self._heard_s = now_s

    def beat(self, busy_s: float, chunks: int, chunk_s: float) -> None:
        self._busy_s, self._chunks, self._chunk_s = busy_s, chunks, chunk_s

    def verdict(self, now_s: float) -> Verdict:
        silence_s = now_s - self._heard_s
        slow_s, lost_s = self._chunk_limits_s()
        if silence_s > (LOADING_LOST_S if self.loading else LOST_S) or self._busy_s > lost_s:
            return "lost"
        return "silent" if not self.loading and (silence_s > SILENT_S or self._busy_s > slow_s) else "fine"

    def _chunk_limits_s(self) -> tuple[float, float]:
        """How long the chunk in progress may run before it is worth a warning, and before it counts as hanging."""
        if self._chunks < 3:
            return FIRST_CHUNKS_S, FIRST_CHUNKS_S
        return max(SILENT_S, CHUNK_SLOW_TIMES * self._chunk_s), max(CHUNK_LOST_S, CHUNK_LOST_TIMES * self._chunk_s)


class RestartBudget:
    """A worker that keeps dying is not worth restarting for ever."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=RESTARTS)

    def allows(self, now_s: float) -> bool:
        """True, and spent, when fewer than RESTARTS restarts lie within the window."""
        if len(self._at_s) == RESTARTS and now_s - self._at_s[0] < RESTART_WINDOW_S:
            return False
        self._at_s.append(now_s)
        return True
