"""Names of the same tensors in other people's files, both ways (models-wan.md sections 14 and 17)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

INDEX = "{i}"


@dataclass(frozen=True)
class KeyMap:
    """Pairs (ours, theirs) of name beginnings, up to a full stop or the end; `{i}` stands for a number on both sides.

    `ignored` are names of theirs that say nothing new.
    """

    pairs: tuple[tuple[str, str], ...]
    ignored: frozenset[str] = frozenset()

    def to_ours(self, name: str) -> str:
        """Unknown names come back unchanged."""
        return _translate(self._inward, name)

    def to_theirs(self, name: str) -> str:
        return _translate(self._outward, name)

    def ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {self.to_ours(name): tensor for name, tensor in tensors.items() if name not in self.ignored}

    def theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {self.to_theirs(name): tensor for name, tensor in tensors.items()}

    @cached_property
    def _outward(self) -> list[tuple[re.Pattern[str], str]]:
        return [_rule(ours, theirs) for ours, theirs in self.pairs]

    @cached_property
    def _inward(self) -> list[tuple[re.Pattern[str], str]]:
        return [_rule(theirs, ours) for ours, theirs in self.pairs]


def _rule(source: str, target: str) -> tuple[re.Pattern[str], str]:
    pattern = re.escape(source).replace(re.escape(INDEX), r"(\d+)")
    return re.compile(rf"{pattern}(?=\.|$)"), target.replace(INDEX, r"\1")


def _translate(rules: list[tuple[re.Pattern[str], str]], name: str) -> str:
    for pattern, target in rules:
        if match := pattern.match(name):
            return match.expand(target) + name[match.end() :]
    return name


def _attention(ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    block = f"blocks.{INDEX}"
    names = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0", "norm_q": "norm_q", "norm_k": "norm_k"}
    return tuple((f"{block}.{ours}.{a}", f"{block}.{theirs}.{b}") for a, b in names.items())


DIFFUSERS_WAN = KeyMap(
    (
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
        ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        *_attention("self_attn", "attn1"),
        *_attention("cross_attn", "attn2"),
        ("blocks.{i}.ffn.0", "blocks.{i}.ffn.net.0.proj"),
        ("blocks.{i}.ffn.2", "blocks.{i}.ffn.net.2"),
        ("blocks.{i}.modulation", "blocks.{i}.scale_shift_table"),
        ("blocks.{i}.norm3", "blocks.{i}.norm2"),
        ("head.modulation", "scale_shift_table"),
        ("head.head", "proj_out"),
    )
)

_T5 = "encoder.block.{i}.layer."
TRANSFORMERS_UMT5 = KeyMap(
    (
        ("token_embedding", "shared"),
        ("norm", "encoder.final_layer_norm"),
        ("blocks.{i}.norm1", f"{_T5}0.layer_norm"),
        ("blocks.{i}.attn.q", f"{_T5}0.SelfAttention.q"),
        ("blocks.{i}.attn.k", f"{_T5}0.SelfAttention.k"),
        ("blocks.{i}.attn.v", f"{_T5}0.SelfAttention.v"),
        ("blocks.{i}.attn.o", f"{_T5}0.SelfAttention.o"),
        ("blocks.{i}.pos_embedding.embedding", f"{_T5}0.SelfAttention.relative_attention_bias"),
        ("blocks.{i}.norm2", f"{_T5}1.layer_norm"),
        ("blocks.{i}.ffn.gate.0", f"{_T5}1.DenseReluDense.wi_0"),
        ("blocks.{i}.ffn.fc1", f"{_T5}1.DenseReluDense.wi_1"),
        ("blocks.{i}.ffn.fc2", f"{_T5}1.DenseReluDense.wo"),
    ),
    ignored=frozenset({"encoder.embed_tokens.weight"}),
)


def in_our_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Recognise a layout by a name only it has, and translate."""
    if any(name.startswith("condition_embedder.") for name in tensors):
        return DIFFUSERS_WAN.ours(tensors)
    if "encoder.final_layer_norm.weight" in tensors:
        return TRANSFORMERS_UMT5.ours(tensors)
    return dict(tensors)
