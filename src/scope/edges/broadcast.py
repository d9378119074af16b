"""Encode once, send to everyone: one encoder thread per codec in use, one small queue per viewer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any

from scope.contract import Hub
from scope.edges.encoder import CODECS, RATE_HZ, Encoded, Encoder
from scope.edges.rate import RatePolicy
from scope.frame import Frame

log = logging.getLogger(__name__)

REPEAT_S = 0.1  # without a new picture the last one is sent again, so that no video element goes black or gives up
KEY_GAP_S, KEY_GAP_MOST_S = 0.3, 2.0  # a storm of requests must not become a storm of keyframes
KEY_DRAINS = 2.0  # times what a keyframe takes on the link: before that, another one only adds to the jam
VIEWER_DEPTH = 8  # pictures; a viewer further behind drops all and waits for a keyframe
CLOCK_HZ = 90_000
EASE = 0.1  # of the running means


class Viewer:
    """One stream of one peer. Everything but `rate` belongs to the event loop."""

    def __init__(self, relay: Relay, trouble: Callable[[str], None]) -> None:
        self.rate = RatePolicy()
        self.dropped = 0
        self.trouble = trouble
        self._relay = relay
        self._queue: deque[Encoded] = deque()
        self._ready = asyncio.Event()
        self._closed = False
        self._wants_key = True

    @property
    def relay(self) -> Relay:
        return self._relay

    def push(self, encoded: Encoded) -> None:
        if self._wants_key and not encoded.key:
            self.dropped += 1
            return
        if len(self._queue) >= VIEWER_DEPTH:
            self.dropped += len(self._queue)
            self._queue.clear()
            if not encoded.key:
                self._wants_key = True
                self.ask_keyframe()
                return
        self._wants_key = False
        self._queue.append(encoded)
        self._ready.set()

    async def next(self) -> Encoded | None:
        """The next picture; None when it is over."""
        while not self._queue and not self._closed:
            self._ready.clear()
            await self._ready.wait()
        return None if self._closed else self._queue.popleft()

    def ask_keyframe(self) -> None:
        """The far end lost its thread (PLI, FIR)."""
        self._relay.want_keyframe()

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        self._ready.set()


class Relay:
    """One encoder in a thread of its own, and those who watch what it makes."""

    def __init__(self, hub: Hub, codec: str, loop: asyncio.AbstractEventLoop) -> None:
        self.codec = codec
        self.encode_ms = 0.0
        self.frames = self.keyframes = 0
        self._hub, self._loop = hub, loop
        self._encoder = Encoder(CODECS[codec])
        self._viewers: tuple[Viewer, ...] = ()  # replaced, never changed: two threads look at it
        self._outlet = hub.outlet(capacity=2)
        self._last: Frame | None = None
        self._nudge: Frame | None = None  # the last picture, put into our own queue to wake the thread
        self._key_wanted = True
        self._key_s = self._out_s = float("-inf")
        self._key_gap_s = KEY_GAP_S
        self._timestamp = 0
        self._origin_s = monotonic()
        self._gap_s, self._picture_bits = 1 / RATE_HZ, 0.0  # running means
        self._thread = threading.Thread(target=self._run, name=f"encoder-{codec}", daemon=True)

    # on the event loop

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    @property
    def fps(self) -> float:
        return 1 / self._gap_s

    @property
    def bps(self) -> float:
        return self._picture_bits / self._gap_s

    def add(self, viewer: Viewer) -> None:
        """A new viewer is shown the current picture at once, even if the next one never comes."""
        self._viewers = (*self._viewers, viewer)
        self.want_keyframe()
        if not self._thread.is_alive():
            self._thread.start()
        elif self._last is not None:
            self._nudge = self._last
            self._outlet.put(self._last)

    def remove(self, viewer: Viewer) -> None:
        self._viewers = tuple(each for each in self._viewers if each is not viewer)

    def want_keyframe(self) -> None:
        self._key_wanted = True

    def stop(self) -> None:
        """Wait for the thread: at most one picture's encoding, and the codec's memory is free afterwards."""
        self._outlet.close()
        self._thread.join()

    def _deliver(self, encoded: Encoded) -> None:
        for viewer in self._viewers:
            viewer.push(encoded)

    def _fail(self, reason: str) -> None:
        for viewer in self._viewers:
            viewer.trouble(reason)

    # in the thread

    def _run(self) -> None:
        try:
            while not self._outlet.closed:
                self._turn()
        except Exception as error:  # the top of the thread; every viewer is told
            if self._loop.is_closed():
                return  # the server ended without closing us; there is nobody left to tell
            log.exception("the %s encoder failed", self.codec)
            self._loop.call_soon_threadsafe(self._fail, f"The {self.codec} encoder failed: {error}")
        finally:
            del self._encoder
            self._last = self._nudge = None

    def _turn(self) -> None:
        """Wait for a picture, or for the moment to show the last one again."""
        frame = self._outlet.take(self._patience_s(monotonic()))
        now_s = monotonic()
        if frame is None or frame is self._nudge:
            self._nudge = None
            if self._outlet.closed or not (self._key_due(now_s) or now_s - self._out_s >= REPEAT_S):
                return
            frame = self._hub.current or self._last
        if frame is not None:
            self._encode(frame, now_s)

    def _patience_s(self, now_s: float) -> float:
        if self._last is None and self._hub.current is None:
            return REPEAT_S
        due_s = self._out_s + REPEAT_S
        if self._key_wanted and self._last is None:
            due_s = now_s
        elif self._key_wanted:
            due_s = min(due_s, max(self._key_s + self._key_gap_s, self._out_s + 1 / RATE_HZ))  # the next picture is as good
        return max(0.0, due_s - now_s)

    def _key_due(self, now_s: float) -> bool:
        return self._key_wanted and now_s - self._key_s >= self._key_gap_s

    def _encode(self, frame: Frame, now_s: float) -> None:
        began_s = perf_counter()
        if key := self._key_due(now_s):
            self._key_wanted = False
        self._timestamp = max(self._timestamp + 1, int((now_s - self._origin_s) * CLOCK_HZ))
        bps = self._target_bps(frame.width * frame.height, now_s)
        encoded = self._encoder.encode(frame, self._timestamp, key=key, bps=bps, now_s=now_s)
        self._note(encoded, (perf_counter() - began_s) * 1e3, now_s)
        self._last, self._out_s = frame, now_s
        if encoded is not None:
            if encoded.key:
                drained_s = KEY_DRAINS * encoded.size_bytes * 8 / bps
                self._key_s, self._key_gap_s = now_s, min(max(KEY_GAP_S, drained_s), KEY_GAP_MOST_S)
            self._loop.call_soon_threadsafe(self._deliver, encoded)

    def _target_bps(self, pixels: int, now_s: float) -> int:
        """What the slowest viewer can take. The encoder counts in frames, so a faster picture gets less for each."""
        viewers = self._viewers
        lowest = min((viewer.rate.target_bps(pixels, now_s) for viewer in viewers), default=None)
        lowest = RatePolicy().target_bps(pixels, now_s) if lowest is None else lowest
        return int(lowest * RATE_HZ / max(RATE_HZ, self.fps))

    def _note(self, encoded: Encoded | None, took_ms: float, now_s: float) -> None:
        self.frames += 1
        self.encode_ms += (took_ms - self.encode_ms) * (1.0 if self.frames == 1 else EASE)
        if encoded is None:
            return
        self.keyframes += encoded.key
        self._picture_bits += (encoded.size_bytes * 8 - self._picture_bits) * EASE
        self._gap_s += (min(max(now_s - self._out_s, 1e-3), 1.0) - self._gap_s) * EASE * (self.frames > 1)


class Broadcast:
    """The picture of one hub. An encoder lives from its first viewer to its last."""

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self.hub = hub  # kept, so that its identity cannot be reused while we are found by it
        self._loop = loop
        self._relays: dict[str, Relay] = {}

    def watch(self, codec: str, trouble: Callable[[str], None]) -> Viewer:
        """A viewer of the picture in that codec; `trouble` is called when its encoder failed."""
        relay = self._relays.get(codec)
        if relay is None:
            relay = self._relays[codec] = Relay(self.hub, codec, self._loop)
        viewer = Viewer(relay, trouble)
        relay.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Harmless when repeated."""
        viewer.close()
        relay = viewer.relay
        relay.remove(viewer)
        if not relay.viewers and self._relays.get(relay.codec) is relay:
            del self._relays[relay.codec]
            relay.stop()

    def figures(self, codec: str) -> dict[str, Any]:
        """What there is to know of the encoder of `codec`; empty when nobody watches it."""
        relay = self._relays.get(codec)
        if relay is None:
            return {}
        return {
            "encode_ms": round(relay.encode_ms, 2),
            "encoded_frames": relay.frames,
            "keyframes": relay.keyframes,
            "viewers": relay.viewers,
            "bitrate_bps": int(relay.bps),
            "encoded_fps": round(relay.fps, 1),
        }
