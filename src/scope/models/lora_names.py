"""From any published spelling of a LoRA key to the name of a Linear layer (contract 6.2, models-wan.md sections 15 and 17)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from scope.models.keys import DIFFUSERS_WAN

Part = Literal["down", "up", "alpha"]

HALVES: dict[str, Part] = {"lora_down": "down", "lora_A": "down", "lora_up": "up", "lora_B": "up"}
VARIANTS = (".weight", "", ".default.weight", ".default")  # what may follow a half's name
PREFIXES = ("base_model.model.", "diffusion_model.", "transformer.", "model.", "generator.")
FLAT = re.compile(r"^lora_(unet|transformer)_+")  # kohya: dots of the layer name became underscores


@dataclass(frozen=True, slots=True)
class Spelling:
    """The layer a key names, which part it holds, and whether that is a half written `diffusion_model. ... lora_A/B`."""

    layer: str
    part: Part
    comfy: bool


def flat_table(layers: Iterable[str]) -> dict[str, str]:
    """Layer name by its spelling with underscores, ours and diffusers'."""
    table: dict[str, str] = {}
    for layer in layers:
        table[layer.replace(".", "_")] = table[DIFFUSERS_WAN.to_theirs(layer).replace(".", "_")] = layer
    return table


def spell(key: str, flat: Mapping[str, str]) -> Spelling | None:
    """Read one key; None if it is no LoRA weight at all."""
    if key.endswith(".alpha"):
        return _spelling(key.removesuffix(".alpha"), "alpha", "", flat)
    for name, part in HALVES.items():
        stem, found, variant = key.rpartition(f".{name}")
        if found and variant in VARIANTS:
            return _spelling(stem, part, name, flat)
    return None


def _spelling(stem: str, part: Part, name: str, flat: Mapping[str, str]) -> Spelling:
    return Spelling(_layer(stem, flat), part, stem.startswith("diffusion_model.") and name in ("lora_A", "lora_B"))


def _layer(stem: str, flat: Mapping[str, str]) -> str:
    if FLAT.match(stem):
        bare = FLAT.sub("", stem)
        return flat.get(bare, bare)
    while prefix := next((p for p in PREFIXES if stem.startswith(p)), ""):
        stem = stem.removeprefix(prefix)
    ours = DIFFUSERS_WAN.to_ours(stem)
    return flat.get(ours, ours)
