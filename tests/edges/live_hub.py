"""A small hub that really runs: a thread draws numbered pictures and hands them to whoever asked for an outlet."""

from __future__ import annotations

import threading
from collections import deque
from functools import cache
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scope.contract import Client, Join, Message, Role
from scope.errors import Busy, Unavailable
from scope.frame import Frame
from scope.pipelines import framecode

COLOUR = (200, 60, 90)  # RGB of the field below the code


class Queue:
    """A `contract.Frames`."""

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self._frames: deque[Frame] = deque(maxlen=capacity)
        self._ready = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, frame: Frame) -> None:
        with self._ready:
            self.dropped += len(self._frames) == self._frames.maxlen
            self._frames.append(frame)
            self._ready.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        with self._ready:
            self._ready.wait_for(lambda: self._frames or self._closed, timeout_s)
            return self._frames.popleft() if self._frames and not self._closed else None

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()


class LiveSession:
    def __init__(self, hub: LiveHub, client: Client, how: Join, number: int) -> None:
        self.id = f"session-{number}"
        self.role: Role = how.role
        self.client, self.how = client, how
        self.turned: list[Any] = []
        self.inputs: list[tuple[float, tuple[int, int] | None]] = []  # (time, code) of each input frame
        self.last_input: Frame | None = None
        self._hub = hub

    def put_frame(self, frame: Frame) -> None:
        self.last_input = frame
        self.inputs.append((frame.time_s, framecode.read(frame.planes()[0])))

    def turn(self, message: Any) -> None:
        self.turned.append(message)
        self.client.tell({"type": "heard", "keys": sorted(message)})

    def leave(self) -> None:
        self._hub.sessions.pop(self.id, None)


class LiveHub:
    """A `contract.Hub`. `made_s` remembers when each picture was handed out, to measure from."""

    def __init__(self, width: int = 512, height: int = 512, rate_hz: float = 30.0) -> None:
        self.size = (width, height)
        self.rate_hz = rate_hz
        self.paused = False
        self.hard = False  # noise that moves, which takes every bit it is given
        self.loaded, self.busy = True, False
        self.sessions: dict[str, LiveSession] = {}
        self.made_s: dict[int, float] = {}
        self.queues: list[Queue] = []
        self.current: Frame | None = None
        self._joined = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-hub")
        self._thread.start()

    def join(self, client: Client, how: Join) -> LiveSession:
        if not self.loaded:
            raise Unavailable("Nothing is loaded")
        if self.busy:
            raise Busy("Someone else controls this picture")
        self._joined += 1
        session = self.sessions[f"session-{self._joined}"] = LiveSession(self, client, how, self._joined)
        return session

    def outlet(self, capacity: int) -> Queue:
        self.queues = [queue for queue in self.queues if not queue.closed] + [Queue(capacity)]
        return self.queues[-1]

    def broadcast(self, message: Message) -> None:
        for session in self.sessions.values():
            session.client.tell(message)

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        number, due_s = 0, monotonic()
        while not self._over.is_set():
            due_s = max(due_s + 1 / self.rate_hz, monotonic() - 0.1)
            sleep(max(0.0, due_s - monotonic()))
            if self.paused:
                continue
            number += 1
            frame = (draw_noise if self.hard else draw)(*self.size, number, level=number % 200)
            self.made_s[number] = monotonic()
            self.current = frame
            for queue in self.queues:
                queue.put(frame)


def draw(width: int, height: int, number: int, level: int = 0) -> Frame:
    """The code on top, a coloured field with a bar that moves below it."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = COLOUR
    x = number * 4 % (width - 8)
    pixels[height // 2 : height // 2 + 16, x : x + 8] = (250, 250, 250)
    framecode.draw(pixels, number, level)
    frame = Frame.from_rgb(pixels, monotonic())
    return Frame.from_i420(frame.i420(), frame.time_s)


def draw_noise(width: int, height: int, number: int, level: int = 0) -> Frame:
    """The code on top of moving noise, smoothed so that it is hard and not hopeless."""
    block = np.roll(_noise(width, height), number * 3, axis=1)
    framecode.draw(block[:height], number, level)
    return Frame.from_i420(block, monotonic())


@cache
def _noise(width: int, height: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(7).integers(60, 200, (height * 3 // 2, width))
    return ((noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, 2, 1)) // 4).astype(np.uint8)
