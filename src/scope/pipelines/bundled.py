"""The bundled family, loaded: the row `nano`, and what stands in for a big model that cannot run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import scope
from scope.errors import Unavailable
from scope.models.cache import CachePolicy
from scope.models.nano_text import NanoText, spelled
from scope.models.tiny_vae import NANO_VAE, TinyVae
from scope.models.wan import NANO, WanTransformer
from scope.models.weights import load, on_meta
from scope.pipelines.images import Images
from scope.pipelines.loading import Diffusion, one_thread_on_few_cores, with_steps
from scope.pipelines.loras import attach
from scope.pipelines.nano import STEPS, NanoOptions
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.words import Words
from scope.settings import Settings, from_environment

FOLDER = Path(scope.__file__).parent / "weights"
FILES = ("nano.safetensors", "nano-text.safetensors", "nano-vae.safetensors")
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
    return all((FOLDER / name).is_file() for name in FILES)


def parts(height: int, width: int, home: Settings, device: torch.device) -> Parts:
    """The trained family in float32, for pictures of this size: sides that are multiples of 64."""
    net, text, codec = on_meta(lambda: WanTransformer(NANO)), on_meta(NanoText), on_meta(lambda: TinyVae(NANO_VAE))
    for part, name in zip((net, text, codec), FILES, strict=True):
        load(part, FOLDER / name, dtype=torch.float32, device=device)
    cell = codec.pixels_per_cell
    words = Words(partial(_embedding, text))
    return Parts(net, codec, words, (height // cell, width // cell), (height, width), images=Images(home.assets_dir))


def load_nano(options: NanoOptions, progress: Callable[[str], None]) -> Diffusion:
    """The row `nano`. Raises Unavailable in a build without its weights."""
    if not here():
        raise Unavailable(f"the bundled weights are not in {FOLDER}; install Scope again, or train them: training/README.md")
    one_thread_on_few_cores()
    progress("Loading the bundled model...")
    home = from_environment()
    found = parts(options.height, options.width, home, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    adapters, loras = attach(found.net, options, home)
    recipe = RECIPE if options.denoising_steps == STEPS else with_steps(RECIPE, options.denoising_steps)
    return Diffusion(recipe, replace(found, adapters=adapters, loras=loras), options.base_seed)


def _embedding(text: NanoText, prompt: str) -> Tensor:
    """[1, L, D]"""
    found: Tensor = text(spelled([prompt]))
    return found
