"""The user's LoRAs: found, read, and merged into a network or hung beside its weights (contract 6.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from scope.errors import NotFound
from scope.models import checkpoint
from scope.models.lora import Adapters, Lora, merge, parse
from scope.models.quantize import Kind, Quantisation, quantise
from scope.models.wan import WanTransformer
from scope.pipelines.family import BESIDE, MERGE, LoraItem
from scope.settings import Settings

MODES = (MERGE, BESIDE)
KINDS: dict[str, Kind] = {"fp8_e4m3fn": "fp8", "int8": "int8"}


class Wanted(Protocol):
    """What load parameters say about LoRAs and about the weights they go into."""

    @property
    def loras(self) -> tuple[LoraItem, ...]: ...
    @property
    def lora_merge_strategy(self) -> str: ...
    @property
    def quantization(self) -> str | None: ...


def attach(net: WanTransformer, options: Wanted, home: Settings) -> tuple[Adapters | None, dict[str, LoraItem]]:
    """Merge what is to be merged, then quantise, then hang on what is to stay loose; gives what became of each, by path."""
    default = options.lora_merge_strategy if options.lora_merge_strategy in MODES else MERGE
    modes = {item.path: item.merge_mode if item.merge_mode in MODES else default for item in options.loras}
    items = {item.path: item.model_copy(update={"merge_mode": modes[item.path]}) for item in options.loras}
    read = {path: (read_lora(path, net, home), item.scale) for path, item in items.items()}
    merge(net, [read[path] for path, item in items.items() if item.merge_mode == MERGE])
    if options.quantization:
        quantise(net, Quantisation(KINDS[options.quantization]))
    loose = {path: read[path] for path, item in items.items() if item.merge_mode == BESIDE}
    return (Adapters(net, loose) if loose else None), items


def read_lora(path: str, net: WanTransformer, home: Settings) -> Lora:
    """Raises NotFound, and BadInput for a LoRA of another base model."""
    return parse(checkpoint.read(find_lora(path, (home.lora_dir, home.models_dir))), net)


def find_lora(path: str, roots: Sequence[Path]) -> Path:
    """An absolute path inside a root, one relative to it, or the bare name of a file; links are followed. Raises NotFound."""
    for root in map(os.path.abspath, roots):
        for name in (path, f"{path}.safetensors"):
            found = Path(os.path.abspath(os.path.join(root, name)))
            if found.is_relative_to(root) and found.is_file():
                return found
        for found in sorted(Path(root).rglob("*.safetensors")) if "/" not in path else ():
            if path in (found.name, found.stem):
                return found
    raise NotFound(f"no LoRA {path[:200]!r} in {roots[0]}")
