"""Everyone who watches: the picture they share, and what all of them are told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic

from scope.contract import Change, Message
from scope.frame import Frame
from scope.runtime.guests import Guests
from scope.runtime.outlets import Outlets
from scope.runtime.session import ClientSession
from scope.runtime.slate import slate
from scope.runtime.stats import RateMeter
from scope.settings import ControllerPolicy


class Audience:
    """Sessions and outlets, which live through every change of the worker behind them."""

    def __init__(self, policy: ControllerPolicy) -> None:
        self.guests = Guests(policy)
        self.outlets = Outlets()
        self.frames_out = RateMeter()
        self._lock = threading.Lock()
        self._trouble: str | None = None  # what was warned of and not yet said to be over

    def show(self, frame: Frame) -> None:
        """The next frame; if there was trouble, it is over."""
        self.frames_out.tick(monotonic())
        self.outlets.put(frame)
        if self._trouble is not None:
            self.recovered(self._trouble)

    def show_words(self, text: str, width: int, height: int) -> None:
        """Instead of black, as long as there has been no picture."""
        if self.outlets.current is None:
            self.outlets.put(slate(text, width, height))

    def starve(self, name: str, width: int, height: int) -> None:
        """The chain has waited for input, in vain."""
        text = f"{name} shows the video it is given, and none has arrived. Choose a camera, a screen or a file as input."
        self.show_words(text, width, height)
        self.warn(text, "no_input")

    def hear_of(self, tickets: Sequence[Message], frame: int | None) -> None:
        """Changes took effect with a frame, or were given up."""
        if frame is None:
            self.regret(tickets)
        else:
            self.answer(tickets, frame)

    def answer(self, tickets: Sequence[Message], frame: int) -> None:
        """Changes took effect: whoever asked is told at which frame."""
        for ticket in tickets:
            session = self.guests.find(ticket["session"])
            if session is not None:
                session.tell({"type": "applied", "seq": ticket["seq"], "keys": ticket["keys"], "frame": frame})

    def regret(self, tickets: Sequence[Message]) -> None:
        """Cues that made the chunk fail again were given up."""
        for ticket in tickets:
            text = f"{', '.join(ticket['keys'])} failed twice and was dropped."
            self.guests.tell({"type": "warning", "code": "cue_dropped", "message": text})

    def warn(self, text: str, code: str) -> None:
        """Tell everyone of trouble that will be followed by `recovered`."""
        with self._lock:
            self._trouble = code
        self.guests.tell({"type": "warning", "code": code, "message": text})

    def recovered(self, code: str) -> None:
        """Say that the trouble called `code` is over, if that was the last trouble told of."""
        with self._lock:
            if self._trouble != code:
                return
            self._trouble = None
        self.guests.tell({"type": "recovered", "code": code})

    def dismiss(self, reason: str) -> None:
        """Everyone is told that it is over."""
        for session in self.guests.take_all():
            session.client.dismiss(reason)

    def forget_picture(self) -> None:
        """Nobody is left; the next to come must not see what the last one saw."""
        self.outlets.current = None

    def metrics(self) -> Change:
        """Per session, the figures of contract 7.3."""
        now_s = monotonic()
        return {session.id: self._session_metrics(session, now_s) for session in self.guests}

    def _session_metrics(self, session: ClientSession, now_s: float) -> Change:
        fps_out = round(self.frames_out.rate_hz(now_s), 2)
        return {
            "role": session.role,
            "frames_in": session.frames_in.count,
            "frames_out": self.frames_out.count,
            "input_dropped": session.input_dropped,
            "elapsed_seconds": round(now_s - session.started_s, 3),
            "fps_in": round(session.frames_in.rate_hz(now_s), 2),
            "fps_out": fps_out,
            "pipeline_fps": fps_out,
            "output_sinks": {},
            "input_source_enabled": False,
            "input_source_type": None,
        }
