"""A house with a real worker behind it, and a client that remembers what it was told and shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import numpy as np

from scope import catalog
from scope.contract import Change, Join, Message, Session
from scope.frame import Frame
from scope.pipelines import framecode
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from scope.runtime.queues import FrameQueue
from scope.settings import Settings

PLUGINS = ("tests.faulty",)
T = TypeVar("T")
PATIENCE_S = 30.0  # for what takes a moment; the machine may be busy


class Client:
    """Implements `contract.Client`: writes everything down, and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.dismissed: list[str] = []
        self._news = threading.Condition()

    def tell(self, message: Message) -> None:
        with self._news:
            self.told.append(message)
            self._news.notify_all()

    def dismiss(self, reason: str) -> None:
        with self._news:
            self.dismissed.append(reason)
            self._news.notify_all()

    def all(self, kind: str, **fields: Any) -> list[Message]:
        return [m for m in tuple(self.told) if m["type"] == kind and all(m.get(k) == v for k, v in fields.items())]

    def hear(self, kind: str, *, count: int = 1, timeout_s: float = PATIENCE_S, **fields: Any) -> Message:
        """The `count`-th message of that kind, when it has come."""
        with self._news:
            came = self._news.wait_for(lambda: len(self.all(kind, **fields)) >= count, timeout_s)
        assert came, f"no {kind} {fields} among {self.told[-8:]}, dismissed: {self.dismissed}"
        return self.all(kind, **fields)[count - 1]

    def be_dismissed(self, timeout_s: float = PATIENCE_S) -> str:
        with self._news:
            assert self._news.wait_for(lambda: self.dismissed, timeout_s), f"not dismissed; told {self.told[-8:]}"
        return self.dismissed[0]


class Screen:
    """An outlet whose pictures are read as numbers."""

    def __init__(self, house: House) -> None:
        self._queue: FrameQueue = house.outlet(256)

    def frame(self, timeout_s: float = PATIENCE_S) -> Frame:
        frame = self._queue.take(timeout_s)
        assert frame is not None, "no picture came"
        return frame

    def see(self, found: Callable[[int, int], bool], timeout_s: float = PATIENCE_S) -> tuple[Frame, int, int]:
        """The first picture from here on whose number and level are as wanted, with both."""
        until_s = monotonic() + timeout_s
        last: tuple[int, int] | None = None
        while (left_s := until_s - monotonic()) > 0:
            frame = self.frame(left_s)
            last = code(frame)
            if last is not None and found(*last):
                return frame, *last
        raise AssertionError(f"not seen; the last picture said {last}")

    def see_level(self, level: int, timeout_s: float = PATIENCE_S) -> Frame:
        return self.see(lambda _, shown: shown == level, timeout_s)[0]

    def drain(self) -> list[Frame]:
        """What waits now."""
        return list(iter(lambda: self._queue.take(0), None))

    def rests(self, quiet_s: float, timeout_s: float = PATIENCE_S) -> bool:
        """True when no picture has come for `quiet_s`, before `timeout_s` are over."""
        until_s = monotonic() + timeout_s
        while monotonic() < until_s:
            if self._queue.take(quiet_s) is None:
                return True
        return False

    def close(self) -> None:
        self._queue.close()


def code(frame: Frame) -> tuple[int, int] | None:
    return framecode.read(frame.planes()[0])


def numbered(number: int, level: int = 0, size: int = 128) -> Frame:
    """A picture of a camera, with a number on it and the time it was taken."""
    pixels = np.full((size, size, 3), (200, 30, 60), np.uint8)
    framecode.draw(pixels, number, level)
    return Frame.from_rgb(pixels, monotonic())


class Camera:
    """Feeds a session at 30 fps from a thread of its own until closed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ended = threading.Event()
        self.taken = 0
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(1 / 30):
            self._session.put_frame(numbered(self.taken))
            self.taken += 1

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def filming(session: Session) -> Iterator[Camera]:
    camera = Camera(session)
    try:
        yield camera
    finally:
        camera.close()


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(folder, folder, folder, folder, folder, plugins=PLUGINS, **more)


@contextmanager
def open_house(folder: Path, **more: Any) -> Iterator[House]:
    house = House(settings(folder, **more), catalog.load(*PLUGINS))
    try:
        yield house
    finally:
        house.close()


def load(house: House, *ids: str, **load_params: Any) -> None:
    """Load a chain and wait for it."""
    house.load([StageRequest(id, id, load_params) for id in ids])
    said = until(lambda: house.status(), lambda status: status["status"] in ("loaded", "error"))
    assert said["status"] == "loaded", said


def join(house: House, **how: Any) -> tuple[Any, Client, Screen]:
    """A controller (or whatever `how` says) with a screen that saw everything from the beginning."""
    client, screen = Client(), Screen(house)
    parameters: Change = how.pop("parameters", {})
    return house.join(client, Join(parameters=parameters, **how)), client, screen


def until(look: Callable[[], T], wanted: Callable[[T], object], timeout_s: float = PATIENCE_S) -> T:
    """Look again and again: for what nobody announces."""
    until_s = monotonic() + timeout_s
    while not wanted(seen := look()):
        assert monotonic() < until_s, f"waited in vain; last: {seen}"
        sleep(0.01)
    return seen
