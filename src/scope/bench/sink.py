"""The end that is measured at: an encoder on a thread of its own, as viewers have it, and a camera for the other end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import count, cycle
from queue import Queue
from time import monotonic
from types import TracebackType

import numpy as np

from scope.edges.encoder import CODECS, Encoder
from scope.edges.rate import start_bps
from scope.frame import Frame
from scope.runtime.params import Ticket

CODEC = "H264"
CLOCK_HZ = 90_000
ROOM = 240  # pictures that may wait; then whoever makes them waits too
CAMERA_HZ = 30.0
VIEWS, GRAIN = 32, 16  # different pictures of the camera; side of its squares


class Sink:
    """Writes down when each picture left the encoder, and which changes it was the first to show."""

    def __init__(self) -> None:
        self.left_s: list[float] = []
        self.encode_ms: list[float] = []
        self.answered_s: dict[int, float] = {}
        self._news = threading.Condition()
        self._encoder = Encoder(CODECS[CODEC])
        self._queue: Queue[tuple[Frame, tuple[int, ...]] | None] = Queue(ROOM)
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="bench-encoder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()

    def put(self, frame: Frame, tickets: Sequence[Ticket] = ()) -> None:
        self._queue.put((frame, tuple(ticket.seq for ticket in tickets)))

    def fail(self, error: Exception) -> None:
        """Nothing more will come; whoever waits is told why."""
        with self._news:
            self._trouble = self._trouble or error
            self._news.notify_all()

    def wait(self, pictures: int, timeout_s: float) -> float:
        """When so many had left, in seconds of `monotonic`. Raises TimeoutError, or what was said to have gone wrong."""
        self._until(lambda: len(self.left_s) >= pictures, timeout_s, "no picture came")
        return self.left_s[pictures - 1]

    def answer(self, seq: int, timeout_s: float) -> float:
        """When the first picture that shows change `seq` left. Raises as `wait`."""
        self._until(lambda: seq in self.answered_s, timeout_s, "a change was not answered")
        return self.answered_s[seq]

    def _until(self, found: object, timeout_s: float, complaint: str) -> None:
        assert callable(found)
        with self._news:
            came = self._news.wait_for(lambda: self._trouble is not None or found(), timeout_s)
        if self._trouble is not None:
            raise self._trouble
        if not came:
            raise TimeoutError(f"{complaint} within {timeout_s:.0f} s")

    def _run(self) -> None:
        try:
            while (waiting := self._queue.get()) is not None:
                self._encode(*waiting)
        except Exception as error:  # noqa: BLE001 - the top of this thread; raised in whoever waits
            self.fail(error)
            while self._queue.get() is not None:
                pass

    def _encode(self, frame: Frame, seqs: tuple[int, ...]) -> None:
        begun_s = monotonic()
        bps, number = start_bps(frame.width * frame.height), len(self.left_s)
        self._encoder.encode(frame, round(begun_s * CLOCK_HZ), key=number == 0, bps=bps, now_s=begun_s)
        now_s = monotonic()
        with self._news:
            self.left_s.append(now_s)
            self.encode_ms.append((now_s - begun_s) * 1000)
            self.answered_s |= dict.fromkeys(seqs, now_s)
            self._news.notify_all()


def camera(height: int, width: int) -> Iterator[Frame]:
    """Coarse noise that drifts, without end, as fast as it is taken."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 255, (-(-height // GRAIN), -(-width // GRAIN), 3), np.uint8)
    whole = coarse.repeat(GRAIN, 0).repeat(GRAIN, 1)[:height, :width]
    views = [np.ascontiguousarray(np.roll(whole, 3 * i, 1)) for i in range(VIEWS)]
    for number, view in zip(count(), cycle(views), strict=False):
        yield Frame.from_rgb(view, number / CAMERA_HZ)
