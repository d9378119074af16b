"""How fast something is coming, and when it will have come: pure, given the time."""

from __future__ import annotations

from collections import deque

WINDOW_S = 5.0
GRAIN_S = 0.1
UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Pace:
    """Bytes per second over the last few seconds."""

    def __init__(self, began_s: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(began_s, 0)])  # (when, how many bytes until then)
        self._total = 0

    def note(self, size_bytes: int, now_s: float) -> None:
        self._total += size_bytes
        last_s = self._marks[-1][0]
        if len(self._marks) > 1 and now_s - last_s < GRAIN_S:
            self._marks[-1] = (last_s, self._total)
        else:
            self._marks.append((max(now_s, last_s), self._total))

    def bytes_per_s(self, now_s: float) -> float:
        while len(self._marks) > 1 and self._marks[1][0] < now_s - WINDOW_S:
            self._marks.popleft()
        began_s, before = self._marks[0]
        passed_s = now_s - max(began_s, now_s - WINDOW_S)
        return (self._total - before) / passed_s if passed_s > 0 else 0.0


def left_s(rest_bytes: int, bytes_per_s: float) -> float | None:
    """Seconds to go; None when nothing is coming."""
    return rest_bytes / bytes_per_s if bytes_per_s > 0 else None


def readable(size_bytes: float) -> str:
    """1_234_567 -> "1.2 MB"."""
    size, power = float(size_bytes), 0
    while size >= 999.95 and power < len(UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.0f} {UNITS[0]}" if power == 0 else f"{size:.1f} {UNITS[power]}"
