"""The worker: one loaded chain, the weights and the chunk loop, at the other end of a pipe.

Hears: load, open, turn, frame, close, stop. Says: loading, loaded, load_failed, opened, frame, applied, starved, stumbled,
failed, dropped, news, beat, log. It ends when told to stop, or when the server is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from scope import catalog
from scope.contract import Message
from scope.errors import Unavailable
from scope.frame import Frame
from scope.runtime.chain import Link, about
from scope.runtime.channel import Channel
from scope.runtime.failures import sentence, stage
from scope.runtime.params import Ticket
from scope.runtime.ring import RingReader, RingWriter, Slot
from scope.runtime.run import Run

BEAT_S = 0.2
END_S = 3.0  # longest that the chunk in progress is waited for when all is over
log = logging.getLogger(__name__)


def process_main(connection: Connection, plugins: tuple[str, ...]) -> None:
    """Entry of the worker process: Ctrl-C belongs to the server, which tells us when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(connection)
    logging.basicConfig(level=logging.INFO, handlers=[PipeLog(channel)], format="[worker] %(message)s")
    serve(channel, plugins, ending=_exit_soon)
    os._exit(0)  # a device library must not keep a finished worker alive


def _exit_soon() -> None:
    """A chunk that hangs must not keep a worker, and the device it holds, alive without a server."""
    timer = threading.Timer(END_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


class PipeLog(logging.Handler):
    """The worker's log lines go to the server, into the one file that a user reads."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # the server is gone
            self._channel.say({"op": "log", "name": record.name, "level": record.levelno, "text": self.format(record)})


def serve(channel: Channel, plugins: tuple[str, ...] = (), ending: Callable[[], None] = lambda: None) -> None:
    """Run until told to stop or until the other end is gone; also used as a thread (`--in-process`)."""
    worker = _Worker(channel, catalog.load(*plugins))
    try:
        worker.run()
    finally:
        ending()
        worker.end()
        channel.close()


class _Worker:
    def __init__(self, channel: Channel, catalogue: catalog.Catalog) -> None:
        self._channel, self._catalog = channel, catalogue
        self._links: Sequence[Link] = ()
        self._run: Run | None = None
        self._ring_in, self._ring_out = RingReader(), RingWriter()
        self._ended = threading.Event()
        self._ops: dict[str, Callable[[Message], None]] = {
            "load": self._load_beside,
            "open": self._open,
            "turn": self._turn,
            "frame": self._frame,
            "close": lambda message: self._close(),
        }

    def run(self) -> None:
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        while True:
            try:
                message = self._channel.hear()
            except (EOFError, OSError):
                return
            assert message is not None
            if message["op"] == "stop":
                return
            self._ops[message["op"]](message)

    def end(self) -> None:
        self._ended.set()
        self._close()
        self._ring_out.close()

    def say(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # the server is gone; the reading side ends us
            self._channel.say(message)

    def _beat(self) -> None:
        """Proof of life, with how long the chunk in progress has been running."""
        while not self._ended.wait(BEAT_S):
            run = self._run
            busy_since_s = run.busy_since_s if run else None
            beat: dict[str, Any] = {"op": "beat", "busy_s": 0.0 if busy_since_s is None else monotonic() - busy_since_s}
            if run:
                beat["stats"] = run.stats() | {"ring_dropped": self._ring_out.dropped}
            self.say(beat)

    def _load_beside(self, message: Message) -> None:
        """Load in a thread of its own, so that the pipe stays open for `stop`."""
        threading.Thread(target=self._load, args=(message["stages"],), name="load", daemon=True).start()

    def _load(self, stages: list[dict[str, Any]]) -> None:
        try:
            self._links = [self._link(planned) for planned in stages]
        except Exception as error:
            log.exception("load failed")
            self.say({"op": "load_failed", "text": sentence(error)})
            return
        self.say({"op": "loaded", "about": about(self._links)})

    def _link(self, planned: dict[str, Any]) -> Link:
        spec = self._catalog.loadable(planned["pipeline_id"])
        assert spec.load is not None
        self.say({"op": "loading", "stage": f"Loading {spec.name}..."})
        options = spec.options.model_validate(planned["options"])

        def progress(text: str) -> None:
            self.say({"op": "loading", "stage": text})

        with stage(spec.name):
            return Link(planned["node_id"], spec, catalog.resolve(spec.load)(options, progress))

    def _open(self, message: Message) -> None:
        self._close()
        try:
            self._run = Run(self._links, message["mode"], message["values"], self.say, self._emit)
        except Exception as error:
            log.exception("the stream could not be opened")
            self.say({"op": "failed", "text": sentence(error)})
            return
        self.say({"op": "opened"})

    def _turn(self, message: Message) -> None:
        if self._run is not None:
            receipt = message.get("receipt")
            self._run.turn(message["values"], (receipt[0], receipt[1]) if receipt else None)

    def _frame(self, message: Message) -> None:
        with contextlib.suppress(FileNotFoundError):  # the ring outgrew it while we were busy: a lost frame
            frame = self._ring_in.read(Slot(*message["slot"]), message["time_s"])
            if self._run is not None:
                self._run.put_frame(frame)

    def _close(self) -> None:
        if self._run is not None:
            self._run.stop()
            self._run = None

    def _emit(self, frame: Frame, tickets: Sequence[Ticket]) -> None:
        """Called by the output clock for every frame that leaves."""
        try:
            slot = self._ring_out.write(frame)
        except Unavailable as error:
            self.say({"op": "failed", "text": str(error)})
            return
        if slot is not None:
            place = (slot.ring, slot.index, slot.width, slot.height, slot.slot_bytes)
            self.say({"op": "frame", "slot": place, "time_s": frame.time_s, "index": frame.index})
        if tickets:
            self.say({"op": "applied", "tickets": [ticket.as_json() for ticket in tickets], "frame": frame.index})
