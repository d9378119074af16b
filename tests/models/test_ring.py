"""StreamDiffusionV2's ring: rows in step with one stream, slots in turn, the sink refreshed, snapshots, graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scope.errors import BadInput, BadParams
from scope.models.ring import Ring, RingCall, RingPolicy
from scope.models.split import balanced, even
from scope.models.turns import Turns
from tests.models.tiny_wan import COLS, ROWS, latents, prompt, tiny

CPU = torch.device("cpu")


def ring(*, rows: int = 1, adapt: float | None = None, window: int = 5, sink: int = 2) -> Ring:
    net = tiny()
    return Ring(RingPolicy(window, sink, 2, adapt=adapt), net.room(ROWS, COLS, batch=rows))


def step(memory: Ring, starts: tuple[int, ...], seed: int, *, first: bool = True, frames: int = 1) -> Tensor:
    net = tiny()
    x = torch.cat([latents(frames, seed + row) for row in range(len(starts))])
    t = torch.full((len(starts), frames), 500.0)
    out: Tensor = net(x, t, net.read(prompt()), memory.begin(RingCall(starts, frames, first)))
    return out


def test_all_steps_of_a_chunk_share_a_slot() -> None:
    memory = ring()
    step(memory, (0,), 0, frames=2)
    written = []
    for chunk in range(2, 10):
        for number in range(3):
            before = memory.v[0].clone()
            step(memory, (chunk,), 10 * chunk + number, first=number == 0)
            changed = (memory.v[0] != before).flatten(2).any(-1)[0].view(5, -1).any(-1)
            written.append(changed.nonzero().flatten().tolist())
    assert written == [[slot] for slot in (2, 3, 4, 2, 3, 4, 2, 3) for _ in range(3)]


def test_rows_answer_as_streams_of_their_own() -> None:
    together, starts = ring(rows=2), (2, 5)
    alone = [ring() for _ in starts]
    for call in range(7):
        both = step(together, (starts[0] + call, starts[1] + call), call)
        for row, memory in enumerate(alone):
            single = step(memory, (starts[row] + call,), call + row)
            torch.testing.assert_close(both[row : row + 1], single, atol=1e-5, rtol=0)


def test_rows_that_hold_less_do_not_see_empty_slots() -> None:
    memory, alone = ring(rows=2), ring()
    for call in range(3):
        step(memory, (call,), call)
    both = step(memory, (3, 0), 20)
    torch.testing.assert_close(both[1:], step(alone, (0,), 21), atol=1e-5, rtol=0)


def test_a_refreshed_position_keeps_the_ring_turning() -> None:
    memory = ring()
    for start in (*range(9), 4, 5, 6):
        step(memory, (start,), start)
    assert memory.filled == [5] and memory.end == [7]


def test_the_sink_is_refreshed_only_when_asked() -> None:
    for adapt, touched in ((None, False), (1.1, True)):
        memory = ring(adapt=adapt)
        for start in range(5):
            step(memory, (start,), start)
        sink = memory.v[0][:, :12].clone()
        step(memory, (5,), 99)
        assert torch.equal(sink, memory.v[0][:, :12]) is not touched


def test_empty_sink_slots_are_not_called_stale() -> None:
    """The original queues sink slot 3 at once because it is still zero when first compared."""
    memory = ring(adapt=-0.99, sink=3, window=6)
    step(memory, (0,), 0, frames=2)
    step(memory, (2,), 1)
    assert memory.turns[0].queue_BQ[0, :3].tolist() == [4, 5, 6]


def test_a_snapshot_continues_bit_for_bit() -> None:
    memory = ring(rows=2, adapt=0.5)
    for start in range(8):
        step(memory, (start + 1, start), start)
    saved = memory.snapshot()
    expected = [step(memory, (start + 1, start), start) for start in range(8, 12)]
    memory.restore(saved)
    for a, start in zip(expected, range(8, 12), strict=True):
        assert torch.equal(a, step(memory, (start + 1, start), start))


def test_a_reset_clears_the_turn_order() -> None:
    memory = ring(adapt=1.1)
    expected = [step(memory, (start,), start) for start in range(7)]
    memory.reset()
    for a, start in zip(expected, range(7), strict=True):
        assert torch.equal(a, step(memory, (start,), start))


def test_a_pass_is_one_graph() -> None:
    memory, net = ring(rows=2, adapt=0.5), tiny()
    for start in range(8):
        step(memory, (start + 1, start), start)
    view = memory.begin(RingCall((9, 8)))
    report = torch._dynamo.explain(net)(latents(1).repeat(2, 1, 1, 1, 1), torch.full((2, 1), 500.0), net.read(prompt()), view)
    assert report.graph_count == 1 and report.graph_break_count == 0, report.break_reasons


def test_what_cannot_be_held_is_refused() -> None:
    with pytest.raises(BadInput):
        ring().begin(RingCall((0, 0)))
    with pytest.raises(BadInput):
        ring().begin(RingCall((0,), 6))
    with pytest.raises(BadParams):
        RingPolicy(3, 3)


def test_turns_by_hand() -> None:
    turns = Turns(2, 1, (2, 3), 4, CPU)
    everyone, only_first = torch.tensor([True, True]), torch.tensor([True, False])
    assert turns.take(only_first).tolist() == [2, 2]
    assert turns.queue_BQ[:, :2].tolist() == [[3, 2], [2, 3]]
    turns.push_front(torch.tensor([1, 1]), only_first)
    assert turns.take(everyone).tolist() == [1, 2]
    assert turns.length.tolist() == [2, 2]  # slot 1 is the sink: it does not come back
    turns.append(torch.tensor([2, 2]), everyone)
    assert turns.length.tolist() == [2, 2]  # both end with 2 already
    for _ in range(3):
        turns.push_front(torch.tensor([1, 1]), everyone)
    assert turns.length.tolist() == [4, 4]  # full: nothing is pushed out


def test_blocks_are_spread_over_ranks() -> None:
    assert even(30, 4) == [(0, 8), (8, 16), (16, 23), (23, 30)]
    assert balanced(even(6, 2), [1.0, 1.0], [1.0, 3.0]) == [(0, 5), (5, 6)]
    with pytest.raises(BadParams):
        even(2, 3)
