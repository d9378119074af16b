"""The bundled family's text encoder: any words become conditioning, without a vocabulary file.

A word is the sum of what its hash, its groups of letters and, where the table knows it, its concept say; two attention layers
look at all of them together. Trained with the transformer (training/flow.py).
Shape suffixes: B prompts, L words, G letter groups, D channels.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from scope.models.nano_words import WORDS, Concept, split, understood

GROUPS = 24  # letter groups kept of a word
CONCEPTS: dict[Concept, int] = {  # 0 means none; the order is part of the trained weights
    Concept(slot, name): number
    for number, (slot, name) in enumerate(((slot, name) for slot, names in WORDS.items() for name in names), 1)
}


@dataclass(frozen=True, slots=True)
class NanoTextConfig:
    """Sizes. `length`: words that are read of a prompt."""

    buckets: int = 4096
    dim: int = 192
    layers: int = 2
    heads: int = 4
    length: int = 24


NANO_TEXT = NanoTextConfig()


class Spelled(NamedTuple):
    """Prompts as numbers, 0 where there is nothing."""

    words_BL: Tensor
    groups_BLG: Tensor
    concepts_BL: Tensor


def spelled(prompts: Sequence[str], config: NanoTextConfig = NANO_TEXT) -> Spelled:
    """What the encoder reads, on the CPU. Words past `length` are left out; letter case and punctuation mean nothing."""
    words = torch.zeros(len(prompts), config.length, dtype=torch.long)
    groups = torch.zeros(len(prompts), config.length, GROUPS, dtype=torch.long)
    concepts = torch.zeros(len(prompts), config.length, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        for place, word in enumerate(split(prompt)[: config.length]):
            words[row, place] = _bucket(word, config.buckets)
            letters = [_bucket(group, config.buckets) for group in letter_groups(word)[:GROUPS]]
            groups[row, place, : len(letters)] = torch.tensor(letters)
        for found in understood(prompt):
            concepts[row, found.place : found.place + len(split(found.text))] = CONCEPTS[found.concept]
    return Spelled(words, groups, concepts)


def letter_groups(word: str) -> list[str]:
    """Runs of three and four letters, with marks where the word begins and ends: near spellings share most of them."""
    marked = f"<{word}>"
    return [marked[at : at + size] for size in (3, 4) for at in range(len(marked) - size + 1)]


def _bucket(text: str, buckets: int) -> int:
    return zlib.crc32(text.encode()) % (buckets - 1) + 1


class NanoText(nn.Module):
    """Prompts to embeddings [B, length, D]; rows past a prompt's end are zero, and so is all of an empty one."""

    def __init__(self, config: NanoTextConfig = NANO_TEXT) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.buckets, config.dim, padding_idx=0)
        self.groups = nn.Embedding(config.buckets, config.dim, padding_idx=0)
        self.concepts = nn.Embedding(len(CONCEPTS) + 1, config.dim, padding_idx=0)
        self.places = nn.Parameter(torch.zeros(config.length, config.dim))
        layer = nn.TransformerEncoderLayer(
            config.dim, config.heads, 4 * config.dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, prompts: Spelled) -> Tensor:
        words_BL, groups_BLG, concepts_BL = (numbers.to(self.places.device) for numbers in prompts)
        present_BL = words_BL > 0
        count_BL1 = (groups_BLG > 0).sum(-1, keepdim=True).clamp_min(1)
        x_BLD = self.words(words_BL) + self.groups(groups_BLG).sum(2) / count_BL1 + self.concepts(concepts_BL) + self.places
        hidden = ~present_BL
        hidden = hidden & present_BL.any(1, keepdim=True)  # an empty prompt would leave attention nothing to look at
        y_BLD = self.norm(self.layers(x_BLD, src_key_padding_mask=hidden))
        return cast(Tensor, y_BLD * present_BL.unsqueeze(-1))
