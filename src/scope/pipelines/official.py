"""The published weights, from the folder they were downloaded to: network, LoRAs, VACE, decoder, text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from scope.errors import NotFound
from scope.models import checkpoint
from scope.models.codec import Codec
from scope.models.lora import merge, parse
from scope.models.text import TextEncoder, load_umt5, text_weights
from scope.models.tokens import load_tokenizer
from scope.models.vace import VaceBranch
from scope.models.wan import WanTransformer
from scope.models.weights import load, on_meta
from scope.pipelines.family import WanOptions
from scope.pipelines.images import Images
from scope.pipelines.loras import attach
from scope.pipelines.parts import DECODERS, Parts, latent_size, work_dtype
from scope.pipelines.recipes import Recipe
from scope.pipelines.words import Words
from scope.published import locate, published
from scope.settings import Settings

OWN_ALPHA = 256  # of the LoRAs that LongLive and MemFlow were trained with; their files carry none
Progress = Callable[[str], None]


def has(name: str, models_dir: Path) -> bool:
    return published(name).present(models_dir)


def require(recipe: Recipe, options: WanOptions, models_dir: Path, *, vace: bool) -> None:
    """Raises NotFound naming what to fetch when something is not there."""
    names = [recipe.weights, *([recipe.lora] if recipe.lora else []), *([recipe.vace] if vace else [])]
    names += [DECODERS[options.vae_type].file, "tokenizer"]
    missing = [str(error) for error in (_absence(name, models_dir) for name in names) if error]
    try:
        text_weights(models_dir)
    except NotFound as error:
        missing.append(str(error))
    if missing:
        raise NotFound("; ".join(missing))


def _absence(name: str, models_dir: Path) -> str:
    try:
        locate(name, models_dir)
    except NotFound as error:
        return str(error)
    return ""


def parts(recipe: Recipe, options: WanOptions, device: torch.device, home: Settings, progress: Progress, *, vace: bool) -> Parts:
    """Everything, in the order of models-stream.md section 10: base, built-in LoRA, the user's LoRAs, quantisation."""
    dtype = work_dtype(device)
    progress("Loading diffusion model...")
    net = on_meta(lambda: WanTransformer(recipe.base))
    load(net, locate(recipe.weights, home.models_dir), device=device, dtype=dtype, row=published(recipe.weights))
    if recipe.lora:
        own = checkpoint.read(locate(recipe.lora, home.models_dir), published(recipe.lora).nests)
        merge(net, [(parse(own, net, alpha=OWN_ALPHA), 1.0)])
    branch = None
    if vace:
        progress("Loading VACE...")
        branch = on_meta(lambda: VaceBranch(recipe.base, recipe.vace_blocks))
        load(branch, locate(recipe.vace, home.models_dir), device=device, dtype=dtype)
    if options.loras:
        progress("Loading LoRAs...")
    adapters, loras = attach(net, options, home)
    progress("Loading VAE...")
    codec = _decoder(recipe, options, device, home.models_dir)
    progress("Loading text encoder...")
    words = _words(options, device, home.models_dir, dtype)
    pixels = (options.height, options.width)
    return Parts(net, codec, words, latent_size(options), pixels, branch, Images(home.assets_dir), adapters, loras)


def _decoder(recipe: Recipe, options: WanOptions, device: torch.device, models_dir: Path) -> Codec:
    row = DECODERS[options.vae_type]
    codec = on_meta(lambda: row.make(recipe))
    load(codec, locate(row.file, models_dir), device=device, dtype=work_dtype(device))
    ready: Codec = codec
    return ready


def _words(options: WanOptions, device: torch.device, models_dir: Path, dtype: torch.dtype) -> Words:
    """Loaded now, and tried: what is missing must be said at load, not at the first prompt."""
    where = torch.device("cpu") if options.text_encoder == "cpu" else device
    tokenizer = load_tokenizer(locate("tokenizer", models_dir))
    encoder = TextEncoder(
        lambda: load_umt5(text_weights(models_dir), device=where, storage="fp8", dtype=torch.bfloat16), tokenizer, device=where
    )

    def embed(text: str) -> Tensor:
        return encoder.embed([text])[0].to(device, dtype)

    embed("")
    return Words(embed)
