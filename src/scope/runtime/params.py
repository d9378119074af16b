"""One mailbox between everything that turns knobs and the one loop that reads them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from scope.contract import Change, Mode, Params, choice, cue, cues
from scope.runtime.door import Kinds

SESSION = "session"  # the node that stands for the session itself
EFFECTS = "effects"  # the node of the fast lane


class SessionParams(Params):
    """What the runtime itself understands, whatever is loaded."""

    paused: bool = choice(False, "Hold the picture at once; generation stops after the chunk in progress.")
    reset_cache: bool = cue(False, "Forget the past and start a new shot.")
    input_mode: Mode | None = choice(None, "Dream from text, or follow the input video.")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A receipt to be signed when the change takes effect: which client asked, its number, the keys."""

    session: str
    seq: int
    keys: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {"session": self.session, "seq": self.seq, "keys": list(self.keys)}


@dataclass(frozen=True, slots=True)
class Taken:
    """The parameters of each node for one chunk, and the receipts of the changes this chunk is the first to see."""

    params: dict[str, Params]
    tickets: tuple[Ticket, ...] = ()
    spent: dict[str, Change] = field(default_factory=dict)  # the cues this chunk has used up

    def without_cues(self) -> tuple[Taken, tuple[Ticket, ...]]:
        """Cues that failed twice are given up: what remains, and the receipts of what does not."""
        lost = {name for change in self.spent.values() for name in change}
        kept = tuple(replace(t, keys=keys) for t in self.tickets if (keys := tuple(k for k in t.keys if k not in lost)))
        gone = tuple(replace(t, keys=keys) for t in self.tickets if (keys := tuple(k for k in t.keys if k in lost)))
        return replace(self, tickets=kept, spent={}), gone


class Mailbox:
    """Latest value per name wins; cues are spent by the chunk that reads them. Any thread may write; never full."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._cues = {node: cues(kind) for node, kind in kinds.items()}
        self._lock = threading.Lock()
        self._values: dict[str, Change] = {node: {} for node in kinds}
        self._fresh: dict[str, set[str]] = {node: set() for node in kinds}
        self._tickets: list[Ticket] = []

    def put(self, accepted: dict[str, Change], ticket: Ticket | None = None) -> None:
        """Values that passed the door, per node; nodes of other mailboxes are skipped."""
        with self._lock:
            for node in self._kinds.keys() & accepted.keys():
                self._values[node] |= accepted[node]
                self._fresh[node] |= accepted[node].keys()
            if ticket is not None:
                self._tickets.append(ticket)

    def peek(self) -> dict[str, Params]:
        """What `take` would give now, without spending anything."""
        with self._lock:
            values = {node: dict(change) for node, change in self._values.items()}
        return self._models(values)

    def take(self) -> Taken:
        """The values for the next chunk, `model_fields_set` naming those sent since the last. Cues are gone afterwards."""
        with self._lock:
            values = {node: dict(change) for node, change in self._values.items()}
            spent = {node: self._spend(node) for node in self._kinds}
            fresh, self._fresh = self._fresh, {node: set() for node in self._kinds}
            tickets, self._tickets = tuple(self._tickets), []
        return Taken(_marked(self._models(values), fresh), tickets, spent)

    def _spend(self, node: str) -> Change:
        names = self._cues[node] & self._values[node].keys()
        return {name: self._values[node].pop(name) for name in names}

    def give_back(self, taken: Taken) -> None:
        """The chunk that took them failed: its cues and receipts wait for the next one, unless newer cues came."""
        with self._lock:
            for node, cues_used in taken.spent.items():
                self._values[node] = cues_used | self._values[node]
                self._fresh[node] |= taken.params[node].model_fields_set
            self._tickets[:0] = taken.tickets

    def settle(self, node: str, values: Change) -> tuple[Change, Change]:
        """The stream brought these values about. Those nobody has sent anew meanwhile become the sticky ones: (new, old)."""
        with self._lock:
            new = {name: value for name, value in values.items() if name not in self._fresh[node]}
            old = {name: self._values[node].get(name) for name in new}
            self._values[node] |= new
        return new, old

    def refresh(self) -> None:
        """A new stream begins: to it, every value is fresh."""
        with self._lock:
            self._fresh = {node: set(change) for node, change in self._values.items()}

    def _models(self, values: dict[str, Change]) -> dict[str, Params]:
        return {node: kind.model_validate(values[node]) for node, kind in self._kinds.items()}


def _marked(params: dict[str, Params], fresh: dict[str, set[str]]) -> dict[str, Params]:
    """Let `model_fields_set` say what was sent since the last chunk, so that a repeated value can be told from an old one."""
    for node, model in params.items():
        object.__setattr__(model, "__pydantic_fields_set__", fresh[node])
    return params
