"""Nano: the bundled family. It draws abstract scenes on an ordinary processor, and stands in for a big model that cannot run here."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

import scope
from scope.models.cache import CachePolicy
from scope.models.nano_text import NanoText, spelled
from scope.models.nano_words import understood, unknown
from scope.models.tiny_vae import NANO_VAE, TinyVae
from scope.models.wan import NANO, WanTransformer
from scope.models.weights import load, on_meta
from scope.pipelines.images import Images
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.words import Words
from scope.settings import Settings

FOLDER = Path(scope.__file__).parent / "weights"
FILES = {"net": "nano.safetensors", "text": "nano-text.safetensors", "codec": "nano-vae.safetensors"}
RECIPE = Recipe(
    NANO,
    CachePolicy(9, 3, 3, positions="relative"),
    weights="nano",
    text_steps=(1000, 600),
    video_steps=(700, 400),
    shift=2.5,
)


def here() -> bool:
    """Whether this build carries the trained weights."""
    return all((FOLDER / name).is_file() for name in FILES.values())


@cache
def _trained() -> tuple[WanTransformer, NanoText, TinyVae]:
    """In float32 on the CPU, read once: streams share them."""
    net, text, codec = on_meta(lambda: WanTransformer(NANO)), on_meta(NanoText), on_meta(lambda: TinyVae(NANO_VAE))
    for part, name in zip((net, text, codec), FILES.values(), strict=True):
        load(part, FOLDER / name, dtype=torch.float32)
    return net, text, codec


def parts(height: int, width: int, home: Settings, device: torch.device) -> Parts:
    """The trained family for pictures of this size, multiples of 64."""
    net, text, codec = (part.to(device) for part in _trained())
    cell = codec.pixels_per_cell
    embed: Callable[[str], Tensor] = partial(_embedding, text)
    return Parts(net, codec, Words(embed), (height // cell, width // cell), (height, width), images=Images(home.assets_dir))


def _embedding(text: NanoText, prompt: str) -> Tensor:
    """[1, L, D]"""
    found: Tensor = text(spelled([prompt]))
    return found
