"""The mailbox: the latest value wins, every cue is read exactly once, every receipt is signed exactly once."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scope.contract import Params, cue, knob
from scope.runtime.params import Mailbox, Taken, Ticket


class Knobs(Params):
    a: float = knob(0.0, -1e6, 1e6, "A value.")
    b: float = knob(0.0, -1e6, 1e6, "Another one.")
    shot: int | None = cue(None, "Happens once.")


def _knobs(taken: dict[str, Params], node: str = "n") -> Knobs:
    found = taken[node]
    assert isinstance(found, Knobs)
    return found


class MailboxMachine(RuleBasedStateMachine):
    """Any interleaving of put, peek, take, give_back against a model of three variables."""

    @initialize()
    def begin(self) -> None:
        self.box = Mailbox({"n": Knobs})
        self.sticky = {"a": 0.0, "b": 0.0}
        self.pending: int | None = None  # the cue the next chunk must see
        self.signed: Counter[int] = Counter()
        self.posted = 0
        self.failed: Taken | None = None

    @rule(key=st.sampled_from("ab"), value=st.integers(-9, 9))
    def turn(self, key: str, value: int) -> None:
        self.box.put({"n": {key: value}})
        self.sticky[key] = float(value)

    @rule(number=st.integers(1, 99))
    def fire(self, number: int) -> None:
        self.box.put({"n": {"shot": number}})
        self.pending = number

    @rule()
    def post(self) -> None:
        self.box.put({}, Ticket("s", self.posted, ("a",)))
        self.posted += 1

    @rule()
    def chunk(self) -> None:
        taken = self.box.take()
        assert _knobs(taken.params).shot == self.pending
        self.pending = None
        self.signed.update(ticket.seq for ticket in taken.tickets)

    @rule(before=st.booleans())
    def failing_chunk(self, before: bool) -> None:
        """A chunk fails; perhaps a newer cue came meanwhile, which then wins."""
        taken = self.box.take()
        if before:
            self.box.put({"n": {"shot": 1000}})
            self.pending = 1000
        self.box.give_back(taken)

    @invariant()
    def peek_sees_what_take_would(self) -> None:
        seen = _knobs(self.box.peek())
        assert (seen.a, seen.b, seen.shot) == (self.sticky["a"], self.sticky["b"], self.pending)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.signed.update(ticket.seq for ticket in self.box.take().tickets)
            assert self.signed == Counter(range(self.posted))


TestMailbox = MailboxMachine.TestCase


def test_receipts_keep_their_order_through_a_failure() -> None:
    box = Mailbox({"n": Knobs})
    first, second = Ticket("s", 1, ("a",)), Ticket("s", 2, ("a",))
    box.put({"n": {"a": 1}}, first)
    taken = box.take()
    box.put({"n": {"a": 2}}, second)
    box.give_back(taken)
    assert box.take().tickets == (first, second) and box.take().tickets == ()


def test_a_chunk_is_told_which_values_are_fresh_and_a_new_stream_that_all_are() -> None:
    box = Mailbox({"n": Knobs})
    box.put({"n": {"a": 1, "shot": 2}})
    assert box.take().params["n"].model_fields_set == {"a", "shot"}
    box.put({"n": {"b": 0.0}})
    taken = box.take()
    assert taken.params["n"].model_fields_set == {"b"} and box.take().params["n"].model_fields_set == set()
    box.give_back(taken)
    assert box.take().params["n"].model_fields_set == {"b"}
    box.refresh()
    assert box.take().params["n"].model_fields_set == {"a", "b"}


def test_values_of_nodes_it_does_not_know_are_left_to_other_mailboxes() -> None:
    box = Mailbox({"n": Knobs})
    box.put({"effects": {"brightness": 1.0}, "n": {"a": 3}})
    assert box.peek().keys() == {"n"} and _knobs(box.peek()).a == 3.0


def test_nodes_of_the_same_kind_do_not_share_values() -> None:
    box = Mailbox({"x": Knobs, "y": Knobs})
    box.put({"x": {"a": 1, "shot": 5}})
    taken = box.take().params
    assert (_knobs(taken, "x").a, _knobs(taken, "y").a) == (1.0, 0.0)
    assert (_knobs(taken, "x").shot, _knobs(taken, "y").shot) == (5, None)


@given(writers=st.integers(2, 4))
def test_many_writers_one_reader(writers: int) -> None:
    """Every receipt comes out once, and the last value of each writer stands."""
    box = Mailbox({str(w): Knobs for w in range(writers)})
    each, signed = 50, Counter[tuple[str, int]]()

    def write(node: str) -> None:
        for seq in range(each):
            box.put({node: {"a": seq, "shot": seq}}, Ticket(node, seq, ("a",)))

    threads = [threading.Thread(target=write, args=(str(w),)) for w in range(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        signed.update((t.session, t.seq) for t in box.take().tickets)
    last = box.take()
    signed.update((t.session, t.seq) for t in last.tickets)
    assert signed == Counter((str(w), seq) for w in range(writers) for seq in range(each))
    assert all(_knobs(last.params, str(w)).a == each - 1 for w in range(writers))


def test_what_the_stream_brought_about_stays_unless_something_newer_waits() -> None:
    box = Mailbox({"n": Knobs})
    box.put({"n": {"a": 1.0}})
    box.take()
    assert box.settle("n", {"a": 5.0}) == ({"a": 5.0}, {"a": 1.0})
    assert _knobs(box.take().params).a == 5.0
    box.put({"n": {"a": 2.0}})
    assert box.settle("n", {"a": 6.0}) == ({}, {})
    assert _knobs(box.take().params).a == 2.0
