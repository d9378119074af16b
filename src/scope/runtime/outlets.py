"""The picture shown now, and a queue for everyone who wants it."""

from __future__ import annotations

import threading

from scope.frame import Frame
from scope.runtime.queues import FrameQueue

SHARED_DEPTH = 2  # an outlet deeper than this gets private copies, so that it cannot starve the ring of slots


class Outlets:
    """Fans one picture out to many queues and holds the last frame for those who come later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: tuple[FrameQueue, ...] = ()
        self.current: Frame | None = None

    def add(self, capacity: int) -> FrameQueue:
        queue = FrameQueue(capacity)
        with self._lock:
            self._queues = (*self._queues, queue)
        return queue

    def put(self, frame: Frame) -> None:
        with self._lock:
            self.current = frame
            if any(queue.closed for queue in self._queues):
                self._queues = tuple(queue for queue in self._queues if not queue.closed)
            queues = self._queues
        private: Frame | None = None
        for queue in queues:
            if queue.capacity > SHARED_DEPTH:
                private = private or frame.copied()
            queue.put(private if queue.capacity > SHARED_DEPTH and private else frame)

    def detach(self) -> None:
        """Hold the last frame as a copy of our own: whoever made it is going away."""
        with self._lock:
            if self.current is not None:
                self.current = self.current.copied()

    @property
    def dropped(self) -> int:
        return sum(queue.dropped for queue in self._queues)

    def close(self) -> None:
        with self._lock:
            for queue in self._queues:
                queue.close()
            self._queues, self.current = (), None
