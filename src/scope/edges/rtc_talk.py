"""The data channels of one peer, both ways: patient with what comes in, bounded in what waits to go out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, NoReturn

from aiortc import RTCDataChannel

from scope.contract import Message

log = logging.getLogger(__name__)

MAIN = "parameters"  # the label clients agree on
MOST_CHARS = 1 << 16  # of one message
MOST_WAITING = 256  # messages said before the channel opens, or faster than the client reads; the oldest go first
MOST_BUFFERED_BYTES = 1 << 20
WARNING_GAP_S = 0.2


class Talk:
    """`tell` may be called from any thread; everything else belongs to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hear: Callable[[dict[str, Any]], None]) -> None:
        self._loop, self._hear = loop, hear
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._channel: RTCDataChannel | None = None
        self._warned_s = float("-inf")

    def tell(self, message: Message) -> None:
        self._waiting.append(json.dumps(message, default=str))
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the client with it
            self._loop.call_soon_threadsafe(self.flush)

    def attach(self, channel: RTCDataChannel) -> None:
        """A channel the client opened. All are listened to; we speak on `parameters`, or else on the first."""
        if self._channel is None or channel.label == MAIN:
            self._channel = channel
        channel.bufferedAmountLowThreshold = MOST_BUFFERED_BYTES // 2
        channel.on("message", self._message)
        channel.on("bufferedamountlow", self.flush)
        self.flush()

    def flush(self) -> None:
        channel = self._channel
        while self._waiting and channel is not None and channel.readyState == "open":
            if channel.bufferedAmount > MOST_BUFFERED_BYTES:
                return
            channel.send(self._waiting.popleft())

    def _message(self, data: str | bytes) -> None:
        try:
            self._hear(_object(data))
        except ValueError as error:
            self._warn(str(error))
        except Exception:  # the top of what a client can reach; it is told, and the channel lives
            log.exception("a message from a client failed")
            self._warn("The server could not handle that message; its log says more.")

    def _warn(self, text: str) -> None:
        if monotonic() - self._warned_s >= WARNING_GAP_S:
            self._warned_s = monotonic()
            self.tell({"type": "warning", "code": "bad_message", "message": text})


def _object(data: str | bytes) -> dict[str, Any]:
    """Raises ValueError with a sentence for the client."""
    if isinstance(data, bytes):
        raise ValueError("Messages must be text, not binary: one JSON object with parameters")
    if len(data) > MOST_CHARS:
        raise ValueError(f"The message has {len(data)} characters; at most {MOST_CHARS} are read")
    try:
        found = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The message is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("A message must be a JSON object, not a list or a bare value")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")
