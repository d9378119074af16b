"""Parts recorded on their own: Krea's biased attention layer, MemFlow's bank compression and frame routing, block splits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scope.models.attention import sdpa
from scope.models.bank import best, compress, route, scores
from scope.models.cache import CachePolicy, Call
from scope.models.memory import Memory, Room
from scope.models.rope import Grid
from scope.models.split import balanced, even
from scope.models.wan import Attention, WanConfig
from tests.golden.case import Case


@pytest.mark.golden("krea.kv_bias")
def test_biased_attention(case: Case) -> None:
    for row in case.meta["cases"]:
        check_biased(case, row)


def check_biased(case: Case, row: dict[str, Any]) -> None:
    t, past, frames = case.floats(), row["past_frames"], row["frames"]
    group, *_ = row["out"].split(".")
    head_dim = case.meta["dim"] // case.meta["heads"]
    layer = Attention(WanConfig(case.meta["dim"], 1, case.meta["heads"], 1))
    prefix = f"{group}.w."
    layer.load_state_dict({k.removeprefix(prefix): v for k, v in t.items() if k.startswith(prefix)})
    policy = CachePolicy(past + frames, 0, min(3, frames), zero_keys_to=row["align"])
    memory = Memory(policy, Room(1, case.meta["heads"], Grid(row["grid"][0], row["grid"][1], head_dim)))
    if past:
        memory.k[0][:, : past * memory.room.grid.frame_tokens] = t[f"{group}.f{frames}.p{past}.past_k"]
        memory.v[0][:, : past * memory.room.grid.frame_tokens] = t[f"{group}.f{frames}.p{past}.past_v"]
        memory.order, memory.end = tuple(range(past)), past
    x = t[f"{group}.f{frames}.p{past}.x"]
    view = memory.begin(Call(past, frames, bias=row["bias"]))
    seen = view.look(0, layer.queries(x), *layer.keys_values(x))
    case.equal(seen.k_BSND.shape[1] - row["kv_len"], row["zero_pad_keys"])
    case.close(layer.out(sdpa(*seen)), t[row["out"]], atol=1e-5)


@pytest.mark.golden("units")
def test_bank_and_routing(case: Case) -> None:
    t, tokens = case.floats(), case.meta["tokens_per_frame"]
    bank_k, bank_v = (torch.unflatten(t[f"bank.{part}"], 1, (-1, tokens)) for part in ("k", "v"))
    chosen = best(scores(bank_k, t["bank.text_k"]), bank_k.shape[1] - 1)
    case.close(compress(bank_k, t["bank.new_k"], chosen).flatten(1, 2), t["bank.out_k"], atol=0)
    case.close(compress(bank_v, t["bank.new_v"], chosen).flatten(1, 2), t["bank.out_v"], atol=0)
    frames = t["sma.out_k"].shape[1] // tokens
    k, v = route(t["sma.q"], t["sma.k"], t["sma.v"], tokens, frames)
    case.close(k, t["sma.out_k"], atol=0)
    case.close(v, t["sma.out_v"], atol=0)


@pytest.mark.golden("sdv2.block_split")
def test_block_split(case: Case) -> None:
    for row in case.meta["balanced_split"]:
        current = [(begin, end) for begin, end in row["current"]]
        case.equal([list(r) for r in balanced(current, row["dit_times"], row["rank_times"])], row["result"])
    for row in case.meta["default_distribution"]:
        case.equal([list(r) for r in even(row["total_blocks"], row["world"])], row["result"])
