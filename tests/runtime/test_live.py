"""What a new worker is told: everything accepted, nothing twice that was confirmed, and never an old value over a new one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scope.contract import Change, Message, Params, choice, cue, knob
from scope.runtime.door import Kinds
from scope.runtime.effects import EffectParams
from scope.runtime.live import MOST_REPLAYS, MOST_WAITING, LiveValues
from scope.runtime.params import EFFECTS, SESSION, Mailbox, SessionParams, Ticket


class Kind(Params):
    level: float = knob(0.0, 0.0, 1000.0, "A value.")
    text: str = choice("", "Another.")
    shot: int | None = cue(None, "Once.")


KINDS: Kinds = {SESSION: SessionParams, EFFECTS: EffectParams, "main": Kind}


class FakeWorker:
    """Reads its mailbox chunk by chunk, and says what it has done."""

    def __init__(self, live: LiveValues) -> None:
        self.box = Mailbox(KINDS)
        self.box.put({node: dict(change) for node, change in live.values.items()})
        for message in live.replay():
            self.hear(message)

    def hear(self, message: Message) -> None:
        receipt = message.get("receipt")
        keys = tuple(key for change in message["values"].values() for key in change)
        self.box.put(message["values"], Ticket(receipt[0], receipt[1], keys) if receipt else None)

    def chunk(self, live: LiveValues) -> Kind:
        taken = self.box.take()
        for ticket in taken.tickets:
            live.confirmed(ticket.session, ticket.seq, list(ticket.keys))
        main = taken.params["main"]
        assert isinstance(main, Kind)
        return main


def _turn(live: LiveValues, change: Change, seq: int | None = None) -> Message:
    return live.note(live.door.check(change), None if seq is None else ("s", seq))


def test_a_replacement_sees_the_latest_values() -> None:
    live = LiveValues(KINDS)
    for level in range(5):
        _turn(live, {"level": level, "brightness": 0.5})
    assert live.values == {"main": {"level": 4.0}, EFFECTS: {"brightness": 0.5}}
    assert FakeWorker(live).chunk(live).level == 4.0
    assert live.flat() == {"level": 4.0, "brightness": 0.5}


def test_an_old_unconfirmed_message_never_overrides_a_newer_value() -> None:
    live = LiveValues(KINDS)
    _turn(live, {"level": 1, "shot": 7}, seq=1)
    _turn(live, {"level": 9})
    seen = FakeWorker(live).chunk(live)
    assert (seen.level, seen.shot) == (9.0, 7)


def test_a_confirmed_cue_is_not_fired_again_and_an_unconfirmed_one_is() -> None:
    live = LiveValues(KINDS)
    first = FakeWorker(live)
    first.hear(_turn(live, {"shot": 1}, seq=1))
    assert first.chunk(live).shot == 1
    first.hear(_turn(live, {"shot": 2}, seq=2))
    second = FakeWorker(live)  # the first died before it read it
    assert second.chunk(live).shot == 2 and FakeWorker(live).chunk(live).shot is None


def test_a_message_in_two_lanes_waits_for_both() -> None:
    live = LiveValues(KINDS)
    _turn(live, {"shot": 3, "brightness": 0.1}, seq=1)
    live.confirmed("s", 1, ["brightness"])
    (message,) = live.replay()
    assert message["values"]["main"] == {"shot": 3}
    live.confirmed("s", 1, ["shot"])
    assert live.replay() == []


def test_confirming_does_not_change_what_the_sender_was_told() -> None:
    """The session looks at `checked` after the worker may already have answered."""
    live = LiveValues(KINDS)
    checked = live.door.check({"level": 1})
    live.note(checked, ("s", 1))
    live.confirmed("s", 1, ["level"])
    assert checked.keys == ["level"] and checked.merged == {"level": 1.0}


def test_receipts_nobody_gave_are_ignored() -> None:
    live = LiveValues(KINDS)
    live.confirmed("stranger", 5, ["level"])
    assert live.replay() == []


def test_what_waits_is_bounded() -> None:
    live = LiveValues(KINDS)
    for seq in range(5000):
        _turn(live, {"shot": seq}, seq=seq)
        _turn(live, {"shot": seq})
    assert len(live.replay()) <= MOST_WAITING


STEP = st.sampled_from(["turn", "acked turn", "cue", "acked cue", "chunk", "death", "death before open", "lost on the way"])


def _survivable(steps: list[str]) -> list[str]:
    """Without the deaths after which a cue would be given up."""
    kept: list[str] = []
    deaths, alive = 0, True
    for step in steps:
        deaths = 0 if step == "chunk" and alive else deaths + (step == "death")
        if step == "death" and deaths >= MOST_REPLAYS:
            continue
        alive = step == "death" or (alive and step not in ("death before open", "lost on the way"))
        kept.append(step)
    return kept


@given(steps=st.lists(STEP, max_size=40))
def test_nothing_accepted_is_lost_and_no_cue_is_fired_twice(steps: list[str]) -> None:
    """Any story of turns, chunks and deaths, with a worker that is heard up to the moment it dies."""
    live = LiveValues(KINDS)
    worker: FakeWorker | None = FakeWorker(live)
    fired: list[int] = []
    expected: int | None = None  # the newest cue not yet fired
    level = 0.0

    def chunk(alive: FakeWorker) -> None:
        nonlocal expected
        seen = alive.chunk(live)
        assert seen.level == level and seen.shot == expected
        if seen.shot is not None:
            fired.append(seen.shot)
        expected = None

    for number, step in enumerate(_survivable(steps)):
        if step == "chunk" and worker is not None:
            chunk(worker)
        elif step == "death":
            worker = FakeWorker(live)
        elif step == "death before open":
            worker = None
        elif step != "chunk":
            change: dict[str, Any] = {"shot": number} if "cue" in step else {"level": number}
            seq = number if "acked" in step else None
            message = _turn(live, change, seq)
            if worker is not None and step != "lost on the way":
                worker.hear(message)
            expected, level = (number, level) if "cue" in step else (expected, float(number))
            if step == "lost on the way":
                worker = None
    chunk(FakeWorker(live))
    assert fired == sorted(set(fired))


def test_a_cue_that_kills_every_worker_is_given_up() -> None:
    live = LiveValues(KINDS)
    FakeWorker(live).hear(_turn(live, {"shot": 5, "level": 3}, seq=1))
    for _ in range(MOST_REPLAYS):
        assert FakeWorker(live).box.peek()["main"].model_dump()["shot"] == 5
    last = FakeWorker(live).chunk(live)
    assert (last.level, last.shot) == (3.0, None)
