"""The rolling memory: what stays and leaves, snapshots, steady state without new tensors, and each named option."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from scope.errors import BadInput, BadParams
from scope.models.attention import sdpa
from scope.models.bank import best, scores
from scope.models.cache import BankPolicy, CachePolicy, Call, place
from scope.models.memory import Memory
from scope.models.rope import rotate
from tests.models.tiny_wan import COLS, POLICIES, ROWS, bank_of, chunk, latents, prompt, tiny


def opened(name: str) -> Memory:
    return Memory(POLICIES[name], tiny().room(ROWS, COLS))


@pytest.fixture(params=sorted(POLICIES))
def memory(request: pytest.FixtureRequest) -> Memory:
    return opened(request.param)


def run(memory: Memory, chunks: range, *, bias: float = 0.3) -> list[Tensor]:
    net, size = tiny(), memory.policy.chunk
    return [chunk(net, memory, c * size, c, bias=bias) for c in chunks]


def test_a_snapshot_continues_bit_for_bit(memory: Memory) -> None:
    run(memory, range(5))
    saved = memory.snapshot()
    expected = run(memory, range(5, 9))
    memory.restore(saved)
    for a, b in zip(run(memory, range(5, 9)), expected, strict=True):
        assert torch.equal(a, b)
    other = Memory(memory.policy, memory.room)
    other.restore(saved)
    for a, b in zip(run(other, range(5, 9)), expected, strict=True):
        assert torch.equal(a, b)


def test_a_reset_forgets_everything(memory: Memory) -> None:
    expected = run(memory, range(4))
    run(memory, range(4, 9))
    memory.reset()
    for a, b in zip(run(memory, range(4)), expected, strict=True):
        assert torch.equal(a, b)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts new tensors at least as large as a cache, and every read of a value from the device."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit = min(t.numel() for t in (*memory.k, *memory.v))
        self.known = {t.untyped_storage().data_ptr() for t in memory.tensors()}
        self.large: list[str] = []
        self.reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, list | tuple) else [out]:
            if isinstance(tensor, Tensor) and tensor.numel() >= self.limit and self.is_new(tensor):
                self.large.append(str(func))
        self.reads += "_local_scalar_dense" in str(func)
        return out

    def is_new(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() not in self.known


@pytest.mark.parametrize("name", ["longlive", "streamdiffusionv2", "krea", "memflow"])
def test_a_steady_pass_makes_no_new_cache_and_reads_nothing_back(name: str) -> None:
    memory, net = opened(name), tiny()
    size, text = memory.policy.chunk, net.read(prompt())
    run(memory, range(20))
    addresses = [t.data_ptr() for t in memory.tensors()]
    x, t = latents(size), torch.full((1, size), 500.0)
    call = Call(20 * size, size, "step", 0.3 if name == "krea" else 1.0)
    net(x, t, text, memory.begin(call, text))
    look = Watched(memory, call)
    net(x, t, text, look)
    assert look.watch.large == []
    assert look.watch.reads == 0
    assert [t.data_ptr() for t in memory.tensors()] == addresses


class Watched:
    """A view that watches what the memory does inside `look`."""

    def __init__(self, memory: Memory, call: Call) -> None:
        self.view, self.watch = memory.begin(call), Watch(memory)

    def look(self, layer: int, q_BTND: Tensor, k_BTND: Tensor, v_BTND: Tensor) -> Any:
        with self.watch:
            return self.view.look(layer, q_BTND, k_BTND, v_BTND)


def test_the_watch_sees_an_allocation() -> None:
    memory = opened("longlive")
    with (watch := Watch(memory)):
        memory.k[0].clone()
        bool(memory.k[0].sum() == 0)
    assert watch.large and watch.reads == 1


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_pass_is_one_graph(name: str) -> None:
    """The device half of a pass has no branch on data: it can be traced whole."""
    memory, net = opened(name), tiny()
    size, text = memory.policy.chunk, net.read(prompt())
    run(memory, range(8))
    view = memory.begin(Call(8 * size, size, "first", 0.3), text)
    explained: Callable[..., Any] = torch._dynamo.explain(net)
    report = explained(latents(size), torch.full((1, size), 500.0), text, view)
    assert report.graph_count == 1 and report.graph_break_count == 0, report.break_reasons


def test_the_host_part_is_constant_in_steady_state() -> None:
    """Frames change slots, the tensors a pass reads keep their addresses: a captured graph can be replayed."""
    memory = opened("longlive")
    run(memory, range(20))
    seen = {tuple(t.data_ptr() for t in (d.turns, d.targets)) for d in memory._desks.values()}
    run(memory, range(20, 30))
    assert {tuple(t.data_ptr() for t in (d.turns, d.targets)) for d in memory._desks.values()} == seen


def naive(policy: CachePolicy, calls: list[Call]) -> list[list[int]]:
    """The rolling rule on plain lists: after each call, the remembered frames, oldest first."""
    kept: list[int] = []
    out, end = [], 0
    for call in calls:
        if call.end > end:
            new = call.end - end
            extra = max(0, len(kept) + call.frames - policy.window)
            kept = kept[: policy.sink] + kept[policy.sink + extra :] + [-1] * new
            end = call.end
        kept[len(kept) - call.frames :] = range(call.start, call.end)
        out.append(list(kept))
    return out


@pytest.mark.parametrize("seed", range(20))
def test_frames_roll_as_on_plain_lists(seed: int) -> None:
    draw = random.Random(seed)
    size = draw.randint(1, 3)
    policy = CachePolicy(draw.randint(2 * size + 2, 12), draw.randint(0, 2), size)
    calls, start = [], 0
    for _ in range(25):
        frames = size + (start == 0 and draw.random() < 0.5)
        calls += [Call(start, frames)] * draw.randint(1, 3)
        start += frames
    order, end, content = tuple[int, ...](), 0, dict[int, int]()
    for call, expected in zip(calls, naive(policy, calls), strict=True):
        spot = place(policy, order, end, call)
        order, end = spot.order, spot.end
        content |= dict(zip(spot.targets, range(call.start + spot.skip, call.end), strict=True))
        assert [content[slot] for slot in order] == expected
        assert len(set(order)) == len(order)


def test_a_protected_sink_ignores_rewrites() -> None:
    policy = CachePolicy(6, 3, 1, protect_sink=True)
    order = (0, 1, 2, 3)
    assert place(policy, order, 4, Call(1, 3, "recache")).skip == 2
    assert place(CachePolicy(6, 3, 1, protect_sink=True, recache_sink="rewrite"), order, 4, Call(1, 3, "recache")).skip == 0
    assert place(CachePolicy(6, 3, 1), order, 4, Call(1, 3)).skip == 0
    for kind in ("step", "clean"):  # of the chunk in progress, which lies in the sink
        assert place(policy, (0, 1), 2, Call(1, 1, kind)).skip == 0
    everything = place(policy, (0, 1, 2), 3, Call(1, 2, "recache"))
    assert (everything.skip, everything.targets) == (2, ()), "all of it lies in the sink"


def test_what_does_not_fit_is_refused() -> None:
    policy = CachePolicy(6, 2, 2)
    for order, end, call in (((), 0, Call(1, 2)), ((0, 1), 2, Call(2, 7)), ((0, 1, 2, 3, 4, 5), 6, Call(6, 5))):
        with pytest.raises(BadInput, match="do not fit"):
            place(policy, order, end, call)
    for window, sink, chunk_frames in ((3, 3, 1), (4, 2, 3)):
        with pytest.raises(BadParams):
            CachePolicy(window, sink, chunk_frames)
    with pytest.raises(BadParams, match="zero keys"):
        CachePolicy(6, 0, 1, bank=BankPolicy(), zero_keys_to=128)


def attended(memory: Memory, bias: float) -> tuple[Tensor, Tensor]:
    """What layer 0 answers for random q, k, v of a chunk behind two remembered frames; and the plain formula."""
    grid, room = memory.room.grid, memory.room
    size = memory.policy.chunk
    draw = torch.Generator().manual_seed(0)
    shape = (1, size * grid.frame_tokens, room.heads, grid.head_dim)
    q, k, v = (torch.randn(shape, generator=draw) for _ in range(3))
    memory.begin(Call(0, size)).look(0, k, k, v)
    seen = memory.begin(Call(size, size, bias=bias)).look(0, q, k, v)
    out = sdpa(*seen)
    n, tokens = 2 * size * grid.frame_tokens, grid.frame_tokens
    score = torch.einsum("btnd,bsnd->bnts", seen.q_BTND, seen.k_BSND[:, :n]) / grid.head_dim**0.5
    score[..., tokens : n - size * tokens] += torch.tensor(bias).log()
    plain = torch.einsum("bnts,bsnd->btnd", score.softmax(-1), seen.v_BSND[:, :n])
    return out, plain


def test_krea_bias_is_exact_unless_parity_is_asked_for() -> None:
    room = tiny().room(ROWS, COLS)
    right, plain = attended(Memory(CachePolicy(4, 0, 2), room), 0.3)
    torch.testing.assert_close(right, plain, atol=1e-6, rtol=0)
    padded, plain = attended(Memory(CachePolicy(4, 0, 2, zero_keys_to=64), room), 0.3)
    assert (padded - plain).abs().max() > 0.05


def test_blending_moves_the_sink_towards_what_leaves() -> None:
    memory = opened("reward-forcing")
    run(memory, range(3))
    sink, leaving = memory.v[0][:, :12].clone(), memory.v[0][:, 12:24].clone()
    memory.begin(Call(6, 2, "first"))
    torch.testing.assert_close(memory.v[0][:, :12], 0.9 * sink + 0.1 * leaving, atol=1e-6, rtol=0)


def test_relative_keys_are_those_of_a_fresh_rotation() -> None:
    """After many chunks the rotated keys still equal raw keys rotated at their place in the window."""
    memory = opened("reward-forcing")
    run(memory, range(7))
    fresh = Memory(memory.policy, memory.room)
    fresh.restore(memory.snapshot())
    grid, order = memory.room.grid, memory.order
    raw = torch.unflatten(memory.raw[1], 1, (-1, grid.frame_tokens))[:, list(order)].flatten(1, 2)
    expected = rotate(raw, grid.turns(torch.arange(len(order))))
    stored = torch.unflatten(memory.k[1], 1, (-1, grid.frame_tokens))[:, list(order)].flatten(1, 2)
    torch.testing.assert_close(stored, expected, atol=1e-6, rtol=0)


def test_deferred_passes_leave_the_counters() -> None:
    memory = opened("memflow")
    run(memory, range(4))
    before = memory.order, memory.end
    memory.begin(Call(8, 2, "first"))
    memory.begin(Call(8, 2, "step"))
    assert (memory.order, memory.end) == before
    memory.begin(Call(8, 2, "clean"))
    assert memory.end == 10


@pytest.mark.parametrize("count", ["chunks", "frames"])
def test_the_bank_counts_chunks_not_frames(count: Any) -> None:
    """A video's first chunk is one frame longer; counting frames (the original) then never records again."""
    policy = CachePolicy(12, 3, 3, deferred=True, bank=BankPolicy(3, 1, 1, count=count))
    bank = bank_of(Memory(policy, tiny().room(ROWS, COLS)))
    due = [bank.due(Call(start, 3, "clean")) for start in (4, 7, 10, 13)]
    assert due == ([True] * 4 if count == "chunks" else [False] * 4)


def test_the_bank_prefers_what_answers_the_prompt() -> None:
    frames = torch.zeros(1, 3, 2, 1, 4)
    frames[0, 0, ..., 0], frames[0, 2, ..., 0] = 0.5, 2.0
    text = torch.zeros(1, 5, 1, 4)
    text[..., 0] = 1
    assert scores(frames, text).tolist() == [[0.25, 0.0, 1.0]]
    assert best(scores(frames, text), 2).tolist() == [[2, 0]]
    assert best(torch.zeros(1, 3), 2).tolist() == [[0, 1]]


def test_automatic_resets_may_keep_the_bank() -> None:
    memory = opened("memflow")
    run(memory, range(6))
    bank, kept = bank_of(memory), bank_of(memory).new_k[0].clone()
    memory.reset(keep_bank=True)
    assert bank.recorded and torch.equal(bank.new_k[0], kept)
    memory.reset()
    assert not bank.recorded and not bank.new_k[0].any()
