"""Rates as people read them. Pure: the time is passed in."""

from __future__ import annotations

from collections import deque


class RateMeter:
    """Events a second over the last `window_s`. Ticked by one thread, read by any."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._at_s: deque[float] = deque()
        self.count = 0

    def tick(self, now_s: float) -> None:
        self.count += 1
        self._at_s.append(now_s)
        while now_s - self._at_s[0] > self._window_s:
            self._at_s.popleft()

    def rate_hz(self, now_s: float) -> float:
        recent = [at_s for at_s in tuple(self._at_s) if now_s - at_s <= self._window_s]
        return (len(recent) - 1) / max(1e-6, recent[-1] - recent[0]) if len(recent) > 1 else 0.0


class Allowance:
    """So many a second and no more: keeps one client's mistakes from becoming a flood of answers."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._at_s = burst, 0.0

    def spend(self, now_s: float) -> bool:
        """True when one more is allowed, and spent."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
