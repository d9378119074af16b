"""Who controls: one at a time, the same client at once, others by the policy; viewers never disturb."""

from __future__ import annotations

from typing import Any

import pytest

from scope.contract import Change, Join, Message
from scope.errors import Busy
from scope.frame import Frame
from scope.runtime.door import Checked
from scope.runtime.guests import MOST_GUESTS, Guests
from scope.runtime.session import MOST_KEYS, ClientSession
from scope.settings import ControllerPolicy


class Client:
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.dismissed: list[str] = []

    def tell(self, message: Message) -> None:
        self.told.append(message)

    def dismiss(self, reason: str) -> None:
        self.dismissed.append(reason)


class Owner:
    """Accepts `level` and refuses `bad`."""

    def __init__(self) -> None:
        self.turns: list[tuple[Change, str | None, int | None]] = []
        self.room = True
        self.gone: list[ClientSession] = []

    def turned(self, session: ClientSession, change: Change, node: str | None, seq: int | None) -> Checked:
        self.turns.append((change, node, seq))
        refused = {"bad": "bad: is bad"} if "bad" in change else {}
        return Checked({"main": {"level": 1.0}} if "level" in change else {}, refused, sorted(change.keys() - {"level", "bad"}))

    def fed(self, session: ClientSession, frame: Frame) -> bool:
        return self.room

    def left(self, session: ClientSession) -> None:
        self.gone.append(session)


def _join(guests: Guests, identity: str | None = None, **how: Any) -> tuple[ClientSession, ClientSession | None]:
    return guests.admit(Owner(), Client(), Join(identity=identity, **how))


def test_by_takeover_the_last_one_wins() -> None:
    guests = Guests("takeover")
    first, _ = _join(guests, "a")
    second, evicted = _join(guests, "b")
    assert evicted is first and guests.controller is second and len(guests) == 1


def test_by_refusal_the_first_one_stays() -> None:
    guests = Guests("refuse")
    first, _ = _join(guests, "a")
    with pytest.raises(Busy, match="viewer"):
        _join(guests, "b")
    assert guests.controller is first and len(guests) == 1


def test_by_watching_the_second_becomes_a_viewer() -> None:
    guests = Guests("watch")
    first, _ = _join(guests, "a")
    second, evicted = _join(guests, "b")
    assert evicted is None and (first.role, second.role) == ("controller", "viewer")


@pytest.mark.parametrize("policy", ["takeover", "refuse", "watch"])
def test_the_same_client_wins_at_once(policy: ControllerPolicy) -> None:
    guests = Guests(policy)
    first, _ = _join(guests, "a")
    again, evicted = _join(guests, "a")
    assert evicted is first and again.role == "controller" and guests.controller is again


@pytest.mark.parametrize("policy", ["refuse", "watch"])
def test_two_strangers_without_a_name_are_not_the_same(policy: ControllerPolicy) -> None:
    guests = Guests(policy)
    first, _ = _join(guests)
    if policy == "refuse":
        with pytest.raises(Busy):
            _join(guests)
    else:
        assert _join(guests)[0].role == "viewer"
    assert guests.controller is first


def test_viewers_come_and_go_without_disturbing_anyone() -> None:
    guests = Guests("refuse")
    viewer, evicted = _join(guests, role="viewer")
    controller, _ = _join(guests, "a")
    assert evicted is None and guests.controller is controller
    assert guests.remove(viewer) and not guests.remove(viewer) and guests.find(viewer.id) is None


def test_there_is_an_end_to_it() -> None:
    guests = Guests("watch")
    for _ in range(MOST_GUESTS):
        _join(guests, role="viewer")
    with pytest.raises(Busy):
        _join(guests, role="viewer")


def _session(role: str = "controller") -> tuple[ClientSession, Client, Owner]:
    client, owner = Client(), Owner()
    return ClientSession(owner, client, Join(), "viewer" if role == "viewer" else "controller"), client, owner


@pytest.mark.parametrize("message", ["text", None, 3, [], [{"level": 1}], {str(i): i for i in range(MOST_KEYS + 1)}])
def test_what_is_not_a_parameter_message_is_answered_with_a_warning(message: Any) -> None:
    session, client, owner = _session()
    session.turn(message)
    assert [m["type"] for m in client.told] == ["warning"] and not owner.turns


def test_special_keys_do_not_reach_the_nodes() -> None:
    session, _, owner = _session()
    session.turn({"level": 1, "node_id": "main", "_ack": 4, "_quantized": True})
    assert owner.turns == [({"level": 1}, "main", 4)]


@pytest.mark.parametrize("ack", ["4", 4.5, True, None, [], {}])
def test_an_acknowledgement_that_is_no_number_is_not_asked_for(ack: Any) -> None:
    session, client, owner = _session()
    session.turn({"level": 1, "_ack": ack})
    assert owner.turns == [({"level": 1}, None, None)] and client.told == []


def test_a_message_nothing_of_which_is_known_is_still_answered() -> None:
    session, client, _ = _session()
    session.turn({"foreign": 1, "_ack": 9})
    assert client.told == [{"type": "applied", "seq": 9, "keys": [], "ignored": ["foreign"]}]


def test_bad_values_are_named_and_a_flood_of_them_becomes_a_trickle() -> None:
    session, client, _ = _session()
    session.turn({"bad": 1, "level": 1})
    assert client.told == [{"type": "warning", "code": "bad_value", "message": "bad: is bad", "key": "bad"}]
    for _ in range(1000):
        session.turn({"bad": 1})
    assert len(client.told) < 60


def test_a_viewer_turns_and_feeds_nothing() -> None:
    session, client, owner = _session("viewer")
    session.turn({"level": 1})
    session.put_frame(None)  # type: ignore[arg-type]  # it must not even be looked at
    assert not owner.turns and session.frames_in.count == 0 and client.told[0]["code"] == "viewer"


def test_input_the_worker_has_no_room_for_is_counted() -> None:
    session, _, owner = _session()
    owner.room = False
    session.put_frame(None)  # type: ignore[arg-type]  # this owner does not look at it
    assert (session.frames_in.count, session.input_dropped) == (1, 1)
