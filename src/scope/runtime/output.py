"""The output clock: frames of finished chunks wait here and leave one by one, when they are due."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from scope.contract import Params
from scope.frame import Frame
from scope.runtime import effects
from scope.runtime.effects import EffectParams
from scope.runtime.pacing import Pace
from scope.runtime.params import EFFECTS, Mailbox, Ticket

CAPACITY = 120  # frames; beyond that the oldest are dropped and counted
HELD_S = 0.05  # a picture shown for this long is held: a fast knob shows it again instead of waiting for the next
Emit = Callable[[Frame, Sequence[Ticket]], None]


@dataclass(slots=True)
class _Waiting:
    frame: Frame
    tickets: tuple[Ticket, ...] = ()


class OutputClock:
    """One thread that paces, runs the fast lane on every frame as it leaves, and says which changes it carries."""

    def __init__(self, pace: Pace, fast: Mailbox, emit: Emit) -> None:
        self._pace, self._fast, self._emit = pace, fast, emit
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._turned = False  # a fast knob moved since the last frame left
        self._held = self._stopped = False
        self._last: Frame | None = None
        self._sent_s = 0.0
        self._carried: tuple[Ticket, ...] = ()  # receipts of chunks that gave no frame yet
        self.sent = self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="output-clock", daemon=True)
        self._thread.start()

    def put(self, frames: Sequence[Frame], tickets: tuple[Ticket, ...], took_s: float, lead_s: float | None = None) -> None:
        """A finished chunk; its receipts leave with its first frame. For the times see `Pace.produced`."""
        with self._changed:
            tickets, self._carried = self._carried + tickets, ()
            if not frames:
                self._carried = tickets
                return
            self._pace.produced(len(frames), took_s, monotonic(), lead_s)
            self._queue.extend(_Waiting(frame, () if i else tickets) for i, frame in enumerate(frames))
            while len(self._queue) > CAPACITY:
                self._drop_oldest()
            self._changed.notify_all()

    def _drop_oldest(self) -> None:
        lost = self._queue.popleft()
        self._queue[0].tickets = lost.tickets + self._queue[0].tickets
        self.dropped += 1

    def turned(self) -> None:
        """A fast knob moved: if nothing else comes, the held picture is shown again with it."""
        with self._changed:
            self._turned = True
            self._changed.notify_all()

    def hold(self, held: bool) -> None:
        """Paused: what waits goes on waiting, and only a fast knob shows the last picture again."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def repace(self, pace: Pace) -> None:
        """Another kind of stream begins."""
        with self._changed:
            self._pace = pace

    def backlog(self) -> int:
        return len(self._queue)

    def start_s(self, coming: int = 0) -> float:
        """When the next chunk should begin, with so many frames of the one before still to come."""
        with self._changed:
            return self._pace.start_s(len(self._queue) + coming, monotonic())

    def flush(self) -> None:
        """A new shot: what waits is forgotten, but not the receipts."""
        with self._changed:
            self._carried += tuple(ticket for waiting in self._queue for ticket in waiting.tickets)
            self._queue.clear()

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            self._send(waiting)

    def _next(self) -> _Waiting | None:
        """The next frame that is due, or the held one when only a knob moved; None when stopped."""
        with self._changed:
            while not self._stopped:
                if self._queue and not self._held:
                    head, now_s = self._queue[0].frame, monotonic()
                    wait_s = self._pace.due_s(head.time_s, len(self._queue) - 1, now_s) - now_s
                    if wait_s <= 0.0005:
                        self._pace.sent(head.time_s, now_s)
                        return self._queue.popleft()
                    self._changed.wait(wait_s)
                elif self._turned and self._last is not None:
                    wait_s = self._sent_s + HELD_S - monotonic()
                    if wait_s <= 0:
                        return _Waiting(self._last)
                    self._changed.wait(wait_s)
                else:
                    self._changed.wait()
        return None

    def _send(self, waiting: _Waiting) -> None:
        self._last, self._turned, self._sent_s = waiting.frame, False, monotonic()
        taken = self._fast.take()
        shown = effects.apply(waiting.frame, _effects(taken.params))
        shown.index = self.sent
        self._emit(shown, (*waiting.tickets, *taken.tickets))
        self.sent += 1

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()


def _effects(params: dict[str, Params]) -> EffectParams:
    found = params[EFFECTS]
    assert isinstance(found, EffectParams)
    return found
