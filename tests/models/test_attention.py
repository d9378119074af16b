"""The attention table and the rotary positions, against formulas written out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from scope.errors import NotFound, Unavailable
from scope.models import attention
from scope.models.attention import BACKENDS, available, choose, sdpa
from scope.models.rope import Grid, rotate


def heads(seed: int, tokens: int) -> Tensor:
    return torch.randn(2, tokens, 3, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("masked", [False, True])
def test_the_default_is_the_formula(masked: bool) -> None:
    q, k, v = heads(0, 5), heads(1, 7), heads(2, 7)
    mask = torch.randn(1, 1, 1, 7) if masked else None
    score = torch.einsum("btnd,bsnd->bnts", q, k) / 8**0.5 + (0 if mask is None else mask)
    torch.testing.assert_close(sdpa(q, k, v, mask), torch.einsum("bnts,bsnd->btnd", score.softmax(-1), v))


def test_the_report_names_every_backend_and_why_not() -> None:
    report = available()
    assert report["sdpa"] == "ready" and set(report) == {"sdpa", *BACKENDS}
    if not torch.cuda.is_available():
        assert all("not installed" in report[name] or "CUDA" in report[name] for name in BACKENDS)


def test_choosing() -> None:
    assert choose() is sdpa
    with pytest.raises(NotFound, match="no attention backend 'none'; there are sdpa, flash3"):
        choose("none")
    missing = next(name for name, text in available().items() if not text.startswith("ready"))
    with pytest.raises(Unavailable, match=missing):
        choose(missing)


def test_a_kernel_is_used_only_for_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.append(tuple(q.shape))
        return q

    row = SimpleNamespace(missing=lambda: "", load=lambda: kernel)
    monkeypatch.setitem(attention.BACKENDS, "flash2", row)
    attend = choose("flash2")
    q = heads(0, 4)
    torch.testing.assert_close(attend(q, q, q), sdpa(q, q, q))
    half = q.bfloat16()
    attend(half, half, half, torch.zeros(1, 1, 1, 4, dtype=torch.bfloat16))
    assert seen == []
    assert attend(half, half, half) is half and seen == [(2, 4, 3, 8)]


@pytest.mark.parametrize(("head_dim", "split"), [(128, (44, 42, 42)), (32, (12, 10, 10)), (20, (8, 6, 6))])
def test_channels_are_split_over_time_row_and_column(head_dim: int, split: tuple[int, int, int]) -> None:
    assert Grid(2, 2, head_dim).split == split


def test_rotation_by_hand() -> None:
    """Token of frame 1030, row 1, column 2: each axis turns its own pairs by position * 10000^(-2j/D)."""
    grid = Grid(2, 3, 20)
    turns = grid.turns(torch.tensor([1030.0]))
    x = torch.randn(1, 6, 1, 20, dtype=torch.float64)
    angles = [1030 * 10000 ** (-2 * j / 8) for j in range(4)]
    angles += [1 * 10000 ** (-2 * j / 6) for j in range(3)] + [2 * 10000 ** (-2 * j / 6) for j in range(3)]
    a = torch.tensor(angles, dtype=torch.float64)
    even, odd = x[0, 5, 0, 0::2], x[0, 5, 0, 1::2]
    expected = torch.stack([even * a.cos() - odd * a.sin(), even * a.sin() + odd * a.cos()], -1).flatten()
    found = rotate(x.float(), turns)[0, 5, 0]
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_rotation_keeps_lengths_and_type() -> None:
    x = torch.randn(1, 8, 2, 20).bfloat16()
    turned = rotate(x, Grid(2, 2, 20).turns(torch.tensor([3.0, 4.0])))
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(turned.float().norm(dim=-1), x.float().norm(dim=-1), atol=2e-2, rtol=0)
