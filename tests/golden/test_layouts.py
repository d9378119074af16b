"""Published key -> shape lists that concern the transformer, and LongLive's own LoRA, against golden/wan 15."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scope.models.lora import parse
from scope.models.wan import WAN_1_3B, WAN_14B, WanConfig, WanTransformer
from tests.golden.case import Case

HEAD_DIM = 128  # of every published size


def config_of(shapes: dict[str, Any]) -> WanConfig:
    dim, layers = shapes["patch_embedding.bias"][0], len({k.split(".")[1] for k in shapes if k.startswith("blocks.")})
    return WanConfig(dim, shapes["blocks.0.ffn.0.bias"][0], max(1, dim // HEAD_DIM), layers)


@pytest.mark.golden("15_key_layouts")
def test_transformers(case: Case) -> None:
    for name, shapes in case.meta.items():
        if "patch_embedding.weight" not in shapes:
            continue
        config = config_of(shapes)
        assert config in (WAN_1_3B, WAN_14B), name
        with torch.device("meta"):
            state = WanTransformer(config).state_dict()
        case.equal({k: list(v.shape) for k, v in state.items()}, shapes)


@pytest.mark.golden("15_key_layouts")
def test_performance_lora(case: Case) -> None:
    with torch.device("meta"):
        net = WanTransformer(WAN_1_3B)
    for shapes in case.meta.values():
        if not any("lora_A" in key for key in shapes):
            continue
        file = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        read = parse(file, net, alpha=256)
        case.equal((len(read.deltas), read.unused), (len(shapes) // 2, ()))
        case.equal({delta.factor for delta in read.deltas.values()}, {1.0})
