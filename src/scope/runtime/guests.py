"""Who holds on to the picture: one controller, any number of viewers (contract 3.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scope.contract import Client, Join, Message, Role
from scope.errors import Busy
from scope.runtime.session import ClientSession, Owner
from scope.settings import ControllerPolicy

MOST_GUESTS = 64


class Guests:
    """The registry of sessions. Not locked: its owner is."""

    def __init__(self, policy: ControllerPolicy) -> None:
        self._policy = policy
        self._sessions: dict[str, ClientSession] = {}

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(tuple(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def controller(self) -> ClientSession | None:
        return next((s for s in self._sessions.values() if s.role == "controller"), None)

    def admit(self, owner: Owner, client: Client, how: Join) -> tuple[ClientSession, ClientSession | None]:
        """A new session, and the controller that had to make room for it. Raises Busy.

        The same client coming back always wins at once; for another one the policy decides: take over, be refused, or watch.
        """
        if len(self._sessions) >= MOST_GUESTS:
            raise Busy(f"{MOST_GUESTS} clients are connected already; close one first")
        role, evicted = how.role, None
        if role == "controller" and (present := self.controller) is not None:
            role, evicted = self._contest(present, how)
        session = ClientSession(owner, client, how, role)
        if evicted is not None:
            self.remove(evicted)
        self._sessions[session.id] = session
        return session, evicted

    def _contest(self, present: ClientSession, how: Join) -> tuple[Role, ClientSession | None]:
        same = how.identity is not None and how.identity == present.identity
        if same or self._policy == "takeover":
            return "controller", present
        if self._policy == "refuse":
            raise Busy("Another client controls this picture; join with role 'viewer', or let it disconnect first")
        return "viewer", None

    def remove(self, session: ClientSession) -> bool:
        """False when it was not (or no longer) here."""
        session.role = "viewer"  # it may go on talking until its client has closed
        return self._sessions.pop(session.id, None) is not None

    def find(self, session_id: str) -> ClientSession | None:
        return self._sessions.get(session_id)

    def tell(self, message: Message, *, but: ClientSession | None = None) -> None:
        for session in self:
            if session is not but:
                session.tell(message)

    def take_all(self) -> Iterable[ClientSession]:
        """Everyone, who from now on is no longer here."""
        sessions = tuple(self._sessions.values())
        for session in sessions:
            self.remove(session)
        return sessions
