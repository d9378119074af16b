"""The bundled family, loaded: the row `nano`, and what stands in for a big model that cannot run here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import scope
from scope.errors import Unavailable
from scope.models.cache import CachePolicy
from scope.models.nano_text import NanoText, spelled
from scope.models.nano_words import understood, unknown
from scope.models.tiny_vae import NANO_VAE, TinyVae
from scope.models.wan import NANO, WanTransformer
from scope.models.weights import load, on_meta
from scope.pipelines.images import Images
from scope.pipelines.nano import CELL, STEPS
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.words import Words
from scope.settings import Settings

FOLDER = Path(scope.__file__).parent / "weights"
FILES = ("nano.safetensors", "nano-text.safetensors", "nano-vae.safetensors")
RECIPE = Recipe(
    NANO,
    CachePolicy(9, 3, 3, positions="relative"),
    weights="nano",
    text_steps=STEPS,
    video_steps=STEPS,
    shift=2.5,
)


def here() -> bool:
    """Whether this build carries the trained weights."""
    return all((FOLDER / name).is_file() for name in FILES)


def parts(height: int, width: int, home: Settings, device: torch.device) -> Parts:
    """The trained family in float32, for pictures of about this size. Raises Unavailable in a build without its weights."""
    if not here():
        raise Unavailable(f"the bundled weights are not in {FOLDER}; install Scope again, or train them: training/README.md")
    height, width = (max(CELL, round(side / CELL) * CELL) for side in (height, width))
    net, text, codec = on_meta(lambda: WanTransformer(NANO)), on_meta(NanoText), on_meta(lambda: TinyVae(NANO_VAE))
    for part, name in zip((net, text, codec), FILES, strict=True):
        load(part, FOLDER / name, dtype=torch.float32, device=device)
    cell = codec.pixels_per_cell
    words = Words(partial(_embedding, text), explain=explained)
    return Parts(net, codec, words, (height // cell, width // cell), (height, width), images=Images(home.assets_dir))


def explained(prompt: str) -> dict[str, Any]:
    """What of a prompt these models were taught, in the order of the prompt, and what not."""
    known = [{"text": found.text, "kind": found.concept.slot, "means": found.concept.name} for found in understood(prompt)]
    return {"understood": known, "unknown": unknown(prompt)}


def _embedding(text: NanoText, prompt: str) -> Tensor:
    """[1, L, D]"""
    found: Tensor = text(spelled([prompt]))
    return found
