"""One running picture in the worker: the chunk loop between a mailbox, the input frames and the output clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import monotonic

from scope.contract import Change, Message, Mode, Rest
from scope.frame import Frame
from scope.runtime.chain import ChainStream, Link, main_spec, mode_for, rate_factor
from scope.runtime.effects import EffectParams
from scope.runtime.failures import FailureCount, free_device_memory, sentence
from scope.runtime.finish import Finisher
from scope.runtime.output import Emit, OutputClock
from scope.runtime.pacing import EvenPace, Pace, SourcePace
from scope.runtime.params import EFFECTS, SESSION, Mailbox, SessionParams, Taken, Ticket
from scope.runtime.queues import FrameQueue

IDLE_S = 0.25  # longest the loop waits for input before it looks around
STARVED_S = 1.0  # no input for this long is worth a word to the user
SHALLOW, DEEP = 2, 64  # input frames that may wait: for per-frame chains, for chunked ones
AT_ONCE = {"paused"}
Receipt = tuple[str, int]  # the session that asked, and the number it gave its message
log = logging.getLogger(__name__)


def _ticket(receipt: Receipt | None, keys: Collection[str]) -> Ticket | None:
    return Ticket(receipt[0], receipt[1], tuple(sorted(keys))) if receipt is not None and keys else None


def _pace(links: Sequence[Link], mode: Mode) -> Pace:
    if mode == "video" and all(link.spec.keeps_time for link in links):
        return SourcePace()
    declared_hz = main_spec([link.spec for link in links]).frame_rate_hz
    return EvenPace(None if declared_hz is None else declared_hz * rate_factor(links))


class Run:
    """From `open` to `close` of a session. The only place a model's failure is caught."""

    def __init__(
        self, links: Sequence[Link], mode: Mode | None, values: dict[str, Change], say: Callable[[Message], None], emit: Emit
    ) -> None:
        self._links, self._say = links, say
        self._mode = mode_for([link.spec for link in links], mode)
        self._slow = Mailbox({SESSION: SessionParams} | {link.node_id: link.spec.params for link in links})
        self._fast = Mailbox({EFFECTS: EffectParams})
        self._slow.put(values)
        self._fast.put(values)
        self._stream: ChainStream | None = ChainStream(links, self._mode)  # None: spoiled, to be opened anew
        self._clock = OutputClock(_pace(links, self._mode), self._fast, emit)
        self._inlet = FrameQueue(SHALLOW)
        self._failures = FailureCount()
        self._wake = threading.Condition()
        self._stopped = False
        self._paused = bool(values.get(SESSION, {}).get("paused", False))
        self._fed_s = monotonic()
        self._starved = False
        self._begun_s: float | None = None  # the first half of the chunk in progress
        self._finisher = Finisher()
        self._coming = self._burst = 0  # frames that the chunk being finished will give; that the last one gave
        self.chunks = 0
        self.chunk_s = 0.0
        self._thread = threading.Thread(target=self._loop, name="chunk-loop", daemon=True)
        self._thread.start()

    def put_frame(self, frame: Frame) -> None:
        """An input frame. What must wait long moves out of shared memory, so that the ring never runs dry."""
        inlet = self._inlet
        inlet.put(frame.copied() if inlet.capacity > SHALLOW else frame)

    def turn(self, accepted: dict[str, Change], receipt: Receipt | None) -> None:
        """Values that passed the door. Pausing acts at once; the rest at the next chunk or output frame."""
        at_once = accepted.get(SESSION, {}).keys() & AT_ONCE
        fast = accepted.get(EFFECTS, {}).keys()
        slow = {key for change in accepted.values() for key in change} - fast - at_once
        self._slow.put(accepted, _ticket(receipt, slow))
        self._fast.put(accepted, _ticket(receipt, fast))
        if fast:
            self._clock.turned()
        if slow:
            self._foresee()
        if at_once:
            with self._wake:
                self._paused = bool(accepted[SESSION]["paused"])
                self._wake.notify_all()
            self._clock.hold(self._paused)
            if (ticket := _ticket(receipt, at_once)) is not None:
                self._say({"op": "applied", "tickets": [ticket.as_json()], "frame": self._clock.sent})

    def _foresee(self) -> None:
        """The stream may begin to prepare; if that fails, the step that needs it will say so."""
        stream = self._stream
        if stream is None:
            return
        try:
            stream.foresee(self._slow.peek())
        except Exception:
            log.exception("a stream could not look ahead")

    @property
    def busy_since_s(self) -> float | None:
        """When the oldest half of a chunk that is being worked on began."""
        return min((at_s for at_s in (self._begun_s, self._finisher.since_s) if at_s is not None), default=None)

    def stats(self) -> Change:
        return {
            "chunks": self.chunks,
            "chunk_ms": round(self.chunk_s * 1000, 2),
            "frames_out": self._clock.sent,
            "output_backlog": self._clock.backlog(),
            "output_dropped": self._clock.dropped,
            "input_dropped": self._inlet.dropped,
            "paused": self._paused,
            "mode": self._mode,
        }

    def stop(self) -> None:
        """Returns when the chunk in progress has ended."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._inlet.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._finisher.close()
        self._clock.stop()

    def _loop(self) -> None:
        while self._wait_for_turn():
            taken: Taken | None = None
            try:
                begun_s = monotonic()
                self._finisher.check()
                frames = self._input()
                if frames is None:
                    continue
                taken = self._slow.take()
                self._chunk(taken, frames, begun_s)
            except Exception as error:  # noqa: BLE001 - the top of this thread; reported to every client
                self._begun_s = None
                if not self._carries_on(error, taken):
                    return

    def _wait_for_turn(self) -> bool:
        """Sleep while paused and until the next chunk should begin; False when stopped."""
        with self._wake:
            while not self._stopped:
                if self._paused:
                    self._wake.wait()
                elif (early_s := self._clock.start_s(self._coming) - monotonic()) > 0.0005:
                    self._wake.wait(early_s)
                else:
                    return True
        return False

    def _input(self) -> Sequence[Frame] | None:
        wanted = self._ready().wants(self._slow.peek())
        if wanted > 1 and self._inlet.capacity < DEEP:
            self._inlet = FrameQueue(max(DEEP, 4 * wanted))
        frames = self._inlet.sample(wanted, IDLE_S)
        if frames is None:
            self._notice_hunger()
            return None
        self._fed_s, self._starved = monotonic(), False
        return frames

    def _ready(self) -> ChainStream:
        """The running stream. After a failure it is a new one, opened when the old one and its memory are gone."""
        if self._stream is None:
            free_device_memory()
            self._stream = ChainStream(self._links, self._mode)
            self._slow.refresh()
        return self._stream

    def _notice_hunger(self) -> None:
        if not self._starved and not self._stopped and monotonic() - self._fed_s > STARVED_S:
            self._starved = True
            self._say({"op": "starved"})

    def _chunk(self, taken: Taken, frames: Sequence[Frame], begun_s: float) -> None:
        session = taken.params[SESSION]
        assert isinstance(session, SessionParams)
        if session.input_mode in main_spec([link.spec for link in self._links]).modes and session.input_mode != self._mode:
            self._switch_mode(session.input_mode, taken)
            return
        if session.reset_cache:
            self._finisher.settle()
            self._ready().reset()
            self._clock.flush()
        self._begun_s = begun_s
        rest = self._ready().begin(taken.params, frames)
        self._begun_s, first_s = None, monotonic() - begun_s
        finish = partial(self._finish, rest, taken, first_s)
        if self._ready().two_stage:
            self._finisher.settle()
            self._coming = self._burst
            self._finisher.begin(finish, taken)
        else:
            finish()
        for node, news in self._ready().news():
            settled, instead_of = self._slow.settle(node, news.settled)
            self._say({"op": "news", "node": node, "message": news.message, "settled": settled, "instead_of": instead_of})

    def _finish(self, rest: Rest, taken: Taken, first_s: float) -> None:
        """The second half. Where it runs beside the next chunk's first, the longer of the two is what a chunk takes."""
        begun_s = monotonic()
        made = rest()
        second_s = monotonic() - begun_s
        self.chunk_s = max(first_s, second_s)
        self.chunks += 1
        self._failures.succeeded()
        self._clock.put(made, taken.tickets, self.chunk_s, first_s + second_s)
        with self._wake:
            self._coming, self._burst = 0, len(made)
            self._wake.notify_all()

    def _switch_mode(self, mode: Mode | None, taken: Taken) -> None:
        """Another mode is another stream; the change that asked for it is read again by its first chunk."""
        assert mode is not None
        self._finisher.settle()
        self._mode, self._stream = mode, None
        self._clock.flush()
        self._clock.repace(_pace(self._links, mode))
        self._slow.give_back(taken)

    def _carries_on(self, error: Exception, taken: Taken | None) -> bool:
        """Say what happened; forget the past and go on, or give up."""
        log.exception("a chunk failed")
        before, self._coming = self._finisher.drain(), 0
        for failed in (taken, before):
            if failed is not None:
                self._give_back(failed)
        if self._failures.gives_up(error):
            self._say({"op": "failed", "text": sentence(error)})
            return False
        self._say({"op": "stumbled", "text": sentence(error)})
        self._stream = None
        return True

    def _give_back(self, taken: Taken) -> None:
        """A failed chunk's cues and receipts wait for the next one; cues that fail again are dropped, or they would poison it."""
        if self._failures.in_a_row:
            taken, lost = taken.without_cues()
            if lost:
                self._say({"op": "dropped", "tickets": [ticket.as_json() for ticket in lost]})
        self._slow.give_back(taken)
