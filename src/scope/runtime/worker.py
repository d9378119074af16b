"""The server's hold on a worker: start it, talk to it, watch it, end it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import threading
from multiprocessing.connection import Connection
from time import monotonic
from typing import Protocol

import psutil

from scope.contract import Message
from scope.frame import Frame
from scope.runtime import shared, worker_main
from scope.runtime.channel import Channel
from scope.runtime.ring import RingReader, RingWriter, Slot
from scope.runtime.watch import Watch

WATCH_S = 0.25  # how often silence is noticed
STOP_S = 3.0  # time a worker has to end by itself
ONE_THREAD_CORES = 4  # on a machine this small two numeric threads collapse as soon as anything else runs
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Listener(Protocol):
    """Who hears the worker. Called on the worker's reading thread."""

    def on_frame(self, worker: Worker, frame: Frame) -> None: ...

    def on_message(self, worker: Worker, message: Message) -> None: ...

    def on_silent(self, worker: Worker) -> None: ...

    def on_lost(self, worker: Worker, why: str) -> None: ...


class Body(Protocol):
    """What runs the worker's loop: a process, or a thread when debugging."""

    def start(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


class Worker:
    """A worker process and both its rings. Never blocks its caller; ends when closed or lost."""

    def __init__(self, listener: Listener, *, plugins: tuple[str, ...] = (), in_process: bool = False) -> None:
        self._listener = listener
        here, there = multiprocessing.get_context("spawn").Pipe()
        self._channel = Channel(here)
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._ring_in, self._ring_out = RingWriter(), RingReader()
        self._ring_lock = threading.Lock()
        self.watch = Watch(monotonic())
        self._ended = False
        self._end_lock = threading.Lock()
        self._body = _body(there, plugins, in_process)
        self._body.start()
        self.pid = self._body.pid if isinstance(self._body, multiprocessing.process.BaseProcess) else None
        if not in_process:
            there.close()
        self._writer = threading.Thread(target=self._write, name="worker-writer", daemon=True)
        self._reader = threading.Thread(target=self._read, name="worker-reader", daemon=True)
        self._writer.start()
        self._reader.start()

    def say(self, message: Message) -> None:
        """Queued: a worker that hangs must not hang the server."""
        self._outbox.put(message)

    def put_frame(self, frame: Frame) -> bool:
        """An input frame; False when it had to be dropped because the worker is behind. Raises Unavailable without memory."""
        with self._ring_lock:
            slot = None if self._ended else self._ring_in.write(frame)
        if slot is None:
            return False
        place = (slot.ring, slot.index, slot.width, slot.height, slot.slot_bytes)
        self.say({"op": "frame", "slot": place, "time_s": frame.time_s})
        return True

    def rss_mb(self) -> float | None:
        """Resident memory of the worker process; None when it has none of its own, or is gone."""
        try:
            return None if self.pid is None else round(psutil.Process(self.pid).memory_info().rss / 2**20, 1)
        except psutil.Error:
            return None

    def close(self) -> None:
        """End it, politely first; returns when it is gone and its memory with it. Not to be called by the listener."""
        if not self._claims_end():
            self._reader.join(STOP_S)  # it was lost at this moment, and its reader is clearing up
            return
        self.say({"op": "stop"})
        self._outbox.put(None)
        self._body.join(STOP_S)
        self._kill()
        self._reader.join(STOP_S)
        self._free()

    def _claims_end(self) -> bool:
        """True for the first who wants to end it: closed and lost may happen at once, and the end only once."""
        with self._end_lock:
            first, self._ended = not self._ended, True
        return first

    def _kill(self) -> None:
        if isinstance(self._body, multiprocessing.process.BaseProcess) and self._body.is_alive():
            self._body.kill()
            self._body.join()

    def _free(self) -> None:
        self._writer.join(STOP_S)  # a descriptor must not be closed under it
        with self._ring_lock:
            self._ring_in.close()
        if self.pid is not None:
            shared.sweep(self.pid)
        with contextlib.suppress(OSError):
            self._channel.close()
        if isinstance(self._body, multiprocessing.process.BaseProcess) and not self._body.is_alive():
            self._body.close()

    def _write(self) -> None:
        while (message := self._outbox.get()) is not None:
            try:
                self._channel.say(message)
            except OSError:
                return  # the reading side notices and tells

    def _read(self) -> None:
        silent = False
        while not self._ended:
            try:
                message = self._channel.hear(WATCH_S)
            except (EOFError, OSError):
                self._lost("ended unexpectedly")
                return
            if message is not None:
                self._dispatch(message)
                self.watch.heard(monotonic())
            verdict = self.watch.verdict(monotonic())
            if verdict == "lost":
                self._lost("no longer answers")
                return
            if verdict == "silent" and not silent:
                self._listener.on_silent(self)
            silent = verdict == "silent"

    def _dispatch(self, message: Message) -> None:
        if message["op"] == "frame":
            with contextlib.suppress(FileNotFoundError):  # the ring outgrew it before we came: a lost frame
                frame = self._ring_out.read(Slot(*message["slot"]), message["time_s"])
                frame.index = message["index"]
                self._listener.on_frame(self, frame)
            return
        if message["op"] == "log":
            logging.getLogger(message["name"]).log(message["level"], message["text"])
            return
        if message["op"] == "beat" and "stats" in message:
            self.watch.beat(message["busy_s"], message["stats"]["chunks"], message["stats"]["chunk_ms"] / 1000)
        if message["op"] in ("loaded", "load_failed"):
            self.watch.loading = False
        self._listener.on_message(self, message)

    def _lost(self, why: str) -> None:
        if not self._claims_end():
            return
        self._outbox.put(None)
        self._kill()
        self._body.join(STOP_S)
        self._free()
        self._listener.on_lost(self, why)


def _body(connection: Connection, plugins: tuple[str, ...], in_process: bool) -> Body:
    if in_process:
        return threading.Thread(target=worker_main.serve, args=(Channel(connection), plugins), name="worker", daemon=True)
    if (os.cpu_count() or 1) <= ONE_THREAD_CORES:
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("spawn")
    return context.Process(target=worker_main.process_main, args=(connection, plugins), name="scope-worker", daemon=True)
