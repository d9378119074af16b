"""What the running picture has been told: replayed when its worker is replaced, so that nothing accepted is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scope.contract import Change, Message
from scope.runtime.door import Checked, Door, Kinds
from scope.runtime.effects import EffectParams
from scope.runtime.options import StagePlan
from scope.runtime.params import EFFECTS, SESSION, SessionParams

MOST_WAITING = 1000
MOST_REPLAYS = 2  # one less than the restarts a house allows (watch.RESTARTS): the last one is without what may be at fault
OWN = ""  # the session of receipts nobody asked for: every cue has one, so that none is lost with a worker


def kinds_of(chain: Sequence[StagePlan]) -> Kinds:
    """What can be turned when `chain` runs: the session itself, the effects, and each of its pipelines."""
    return {SESSION: SessionParams, EFFECTS: EffectParams, **{stage.node_id: stage.spec.params for stage in chain}}


class LiveValues:
    """The sticky values of a run, per node, and the messages that have not been confirmed."""

    def __init__(self, kinds: Kinds) -> None:
        self.door = Door(kinds)
        self.values: dict[str, Change] = {}
        self._unconfirmed: dict[tuple[str, int], dict[str, Change]] = {}
        self._replays: Counter[tuple[str, int]] = Counter()
        self._numbered = 0

    def note(self, checked: Checked, receipt: tuple[str, int] | None) -> Message:
        """Remember what was accepted; gives the message for the worker."""
        for node, change in checked.accepted.items():
            sticky = {key: value for key, value in change.items() if key not in self.door.cues}
            self.values.setdefault(node, {}).update(sticky)
        if receipt is None and self.door.cues & set(checked.keys):
            self._numbered += 1
            receipt = (OWN, self._numbered)
        if receipt is None:
            return _turn(checked.accepted)
        self._unconfirmed[receipt] = {node: dict(change) for node, change in checked.accepted.items()}
        if len(self._unconfirmed) > MOST_WAITING:
            self._forget(next(iter(self._unconfirmed)))
        return _turn(checked.accepted, receipt)

    def confirmed(self, session: str, seq: int, keys: list[str]) -> None:
        """A change took effect; a message whose keys arrive in two lanes waits for both."""
        waiting = self._unconfirmed.get((session, seq))
        if waiting is None:
            return
        for change in waiting.values():
            for key in keys:
                change.pop(key, None)
        if not any(waiting.values()):
            self._forget((session, seq))

    def replay(self) -> list[Message]:
        """What a new worker must hear after it has been opened with `values`, none of which it may undo.

        Not for ever: what was under way each time when workers were lost may well be what killed them.
        """
        for receipt in [each for each in self._unconfirmed if self._replays[each] >= MOST_REPLAYS]:
            self._forget(receipt)
        self._replays.update(self._unconfirmed.keys())
        return [_turn(self._renewed(values), receipt) for receipt, values in self._unconfirmed.items()]

    def _renewed(self, values: dict[str, Change]) -> dict[str, Change]:
        return {node: change | _common(self.values.get(node, {}), change) for node, change in values.items()}

    def _forget(self, receipt: tuple[str, int]) -> None:
        self._unconfirmed.pop(receipt, None)
        self._replays.pop(receipt, None)

    def flat(self) -> Change:
        """All values by key, as a client sees them."""
        return {key: value for change in self.values.values() for key, value in change.items()}


def _turn(values: dict[str, Change], receipt: tuple[str, int] | None = None) -> Message:
    return {"op": "turn", "values": values} if receipt is None else {"op": "turn", "values": values, "receipt": receipt}


def _common(newer: Change, change: Change) -> Change:
    return {key: newer[key] for key in newer.keys() & change.keys()}
