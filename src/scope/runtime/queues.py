"""Frames wait here. A full queue drops its oldest frame: late video is worth less than new video."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from scope.frame import Frame


class FrameQueue:
    """Bounded, never blocks the writer, counts what it lost."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.dropped = 0
        self._frames: deque[Frame] = deque(maxlen=capacity)
        self._ready = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, frame: Frame) -> None:
        with self._ready:
            if self._closed:
                return
            self.dropped += len(self._frames) == self.capacity
            self._frames.append(frame)
            self._ready.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame in order, for those who show every one; None if none came in time."""
        with self._ready:
            self._ready.wait_for(lambda: self._frames or self._closed, timeout_s)
            return self._frames.popleft() if self._frames else None

    def sample(self, count: int, timeout_s: float) -> Sequence[Frame] | None:
        """`count` frames spread evenly over all that waits, which is then forgotten, for those who must keep up."""
        if count == 0:
            return ()
        with self._ready:
            self._ready.wait_for(lambda: len(self._frames) >= count or self._closed, timeout_s)
            if len(self._frames) < count:
                return None
            waiting = list(self._frames)
            self._frames.clear()
        return [waiting[(i + 1) * len(waiting) // count - 1] for i in range(count)]

    def clear(self) -> None:
        """Forget what waits (a new shot begins); not counted as lost."""
        with self._ready:
            self._frames.clear()

    def close(self) -> None:
        """Wake whoever waits; later frames are ignored."""
        with self._ready:
            self._closed = True
            self._frames.clear()
            self._ready.notify_all()
