"""One client's hold on the running picture."""

from __future__ import annotations

import uuid
from time import monotonic
from typing import Any, Protocol

from scope.contract import Change, Client, Join, Message, Role
from scope.frame import Frame
from scope.runtime.door import Checked
from scope.runtime.stats import Allowance, RateMeter

MOST_KEYS = 256
WARNINGS_PER_S, WARNINGS_AT_ONCE = 5.0, 20.0


class Owner(Protocol):
    """What a session needs of the house it lives in."""

    def turned(self, session: ClientSession, change: Change, node: str | None, seq: int | None) -> Checked: ...

    def fed(self, session: ClientSession, frame: Frame) -> bool: ...

    def left(self, session: ClientSession) -> None: ...


class ClientSession:
    """Checks what a client says, passes it on, and answers."""

    def __init__(self, owner: Owner, client: Client, how: Join, role: Role) -> None:
        self.id = str(uuid.uuid4())
        self.role: Role = role
        self.identity = how.identity
        self.client = client
        self.started_s = monotonic()
        self.frames_in = RateMeter()
        self.input_dropped = 0
        self._owner = owner
        self._warnings = Allowance(WARNINGS_PER_S, WARNINGS_AT_ONCE)

    def tell(self, message: Message) -> None:
        self.client.tell(message)

    def warn(self, text: str, code: str, **more: Any) -> None:
        """A complaint in words; at most a few a second, so that a flood of mistakes stays a trickle of answers."""
        if self._warnings.spend(monotonic()):
            self.tell({"type": "warning", "code": code, "message": text, **more})

    def put_frame(self, frame: Frame) -> None:
        if self.role == "controller":
            self.frames_in.tick(monotonic())
            self.input_dropped += not self._owner.fed(self, frame)

    def turn(self, message: Any) -> None:
        """Never raises: whatever cannot be used is answered with a warning, and the rest takes effect."""
        if not isinstance(message, dict) or len(message) > MOST_KEYS:
            self.warn(f"A parameter message is one JSON object with at most {MOST_KEYS} keys.", "bad_message")
            return
        if self.role == "viewer":
            self.warn("You are watching; press Play to take control.", "viewer")
            return
        change = {str(key): value for key, value in message.items() if key != "_quantized"}
        node, seq = change.pop("node_id", None), change.pop("_ack", None)
        seq = seq if isinstance(seq, int) and not isinstance(seq, bool) else None
        checked = self._owner.turned(self, change, None if node is None else str(node), seq)
        self.complain(checked)
        if seq is not None and not checked.keys:
            self.tell({"type": "applied", "seq": seq, "keys": [], "ignored": checked.unknown[:20]})

    def complain(self, checked: Checked) -> None:
        for key, why in checked.refused.items():
            self.warn(why, "bad_value", key=key)

    def leave(self) -> None:
        self._owner.left(self)
