"""The pipe between server and worker: small JSON messages, each with an "op". Nothing is ever unpickled from it."""

from __future__ import annotations

import json
import threading
from multiprocessing.connection import Connection

from scope.contract import Message


class Channel:
    """One end. `say` may be called from any thread; only one thread may `hear`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """Blocks while the pipe is full. Raises OSError when the other end is gone."""
        data = json.dumps(message, separators=(",", ":")).encode()
        with self._lock:
            self._connection.send_bytes(data)

    def hear(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None when none came in time. Raises EOFError or OSError when the other end is gone."""
        if timeout_s is not None and not self._connection.poll(timeout_s):
            return None
        message: Message = json.loads(self._connection.recv_bytes())
        return message

    def close(self) -> None:
        self._connection.close()
