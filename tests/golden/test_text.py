"""UMT5 and the cleaning of prompts against the original."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scope.models.tokens import clean
from scope.models.umt5 import Umt5, Umt5Config, buckets
from tests.golden.case import Case

ATOL = 5e-5


def config_of(recorded: dict[str, Any]) -> Umt5Config:
    assert not recorded["shared_pos"], "UMT5 has a table per layer"
    return Umt5Config(
        vocabulary=recorded["vocab"],
        dim=recorded["dim"],
        attention_dim=recorded["dim_attn"],
        ffn_dim=recorded["dim_ffn"],
        heads=recorded["num_heads"],
        layers=recorded["num_layers"],
        buckets=recorded["num_buckets"],
    )


def model_of(case: Case) -> Umt5:
    model = Umt5(config_of(case.config["t5"]))
    model.load_state_dict(case.sibling(case.config["weights"]).tensors)
    return model.eval().requires_grad_(False)


@pytest.mark.golden("09_umt5", without="_weights")
def test_encoder(case: Case) -> None:
    ids, mask, lengths = case.tensors["ids"], case.tensors["mask"], case.config["true_lengths"]
    raw = model_of(case)(ids, mask)
    case.close(raw, "raw", atol=ATOL)
    present = torch.arange(ids.shape[1])[None] < torch.tensor(lengths)[:, None]
    case.close(raw * present[..., None], "prompt_embeds", atol=ATOL)


@pytest.mark.golden("09_umt5", without="_weights")
def test_only_as_many_tokens_as_there_are(case: Case) -> None:
    """Computing no more rows than the longest prompt has gives the same embedding."""
    model = model_of(case)
    for row, length in enumerate(case.config["true_lengths"]):
        short = model(case.tensors["ids"][row : row + 1, :length], case.tensors["mask"][row : row + 1, :length])
        case.close(short, case.tensors["prompt_embeds"][row : row + 1, :length], atol=ATOL)


@pytest.mark.golden("09_umt5", without="_weights")
def test_positions(case: Case) -> None:
    case.close(buckets(case.tensors["bucket.rel"], case.config["t5"]["num_buckets"]), "bucket.id", atol=0)
    bias = case.tensors["bias0"]
    case.close(model_of(case).blocks[0].get_submodule("pos_embedding")(bias.shape[-1]), bias, atol=ATOL)


@pytest.mark.golden("09_umt5", without="_weights")
def test_cleaning(case: Case) -> None:
    for pair in case.config["text_cleaning"]:
        case.equal(clean(pair["input"]), pair["cleaned"])
