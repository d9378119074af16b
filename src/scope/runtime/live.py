"""What the running picture has been told: replayed when its worker is replaced, so that nothing accepted is lost."""

from __future__ import annotations

from scope.contract import Change, Message
from scope.runtime.door import Checked, Door, Kinds

MOST_WAITING = 1000


class LiveValues:
    """The sticky values of a run, per node, and the messages that have not been confirmed."""

    def __init__(self, kinds: Kinds) -> None:
        self.door = Door(kinds)
        self.values: dict[str, Change] = {}
        self._unconfirmed: dict[tuple[str, int], Message] = {}
        self._held: list[Message] = []

    def note(self, checked: Checked, receipt: tuple[str, int] | None, *, delivered: bool) -> Message:
        """Remember what was accepted; gives the message for the worker."""
        for node, change in checked.accepted.items():
            sticky = {key: value for key, value in change.items() if key not in self.door.cues}
            self.values.setdefault(node, {}).update(sticky)
        message: Message = {"op": "turn", "values": checked.accepted}
        if receipt is not None:
            message["receipt"] = receipt
            self._unconfirmed[receipt] = message
            if len(self._unconfirmed) > MOST_WAITING:
                del self._unconfirmed[next(iter(self._unconfirmed))]
        elif not delivered and self.door.cues & set(checked.keys) and len(self._held) < MOST_WAITING:
            self._held.append(message)
        return message

    def confirmed(self, session: str, seq: int, keys: list[str]) -> None:
        """A change took effect; a message whose keys arrive in two lanes waits for both."""
        message = self._unconfirmed.get((session, seq))
        if message is None:
            return
        for change in message["values"].values():
            for key in keys:
                change.pop(key, None)
        if not any(message["values"].values()):
            del self._unconfirmed[session, seq]

    def replay(self) -> list[Message]:
        """What a new worker must hear after it has been opened with `values`."""
        held, self._held = self._held, []
        return [*held, *self._unconfirmed.values()]

    def flat(self) -> Change:
        """All values by key, as a client sees them."""
        return {key: value for change in self.values.values() for key, value in change.items()}
