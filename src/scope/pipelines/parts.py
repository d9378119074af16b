"""Building a pipeline of the family in the worker: networks, decoder, text, from weights or without."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from scope.contract import Mode
from scope.errors import Unavailable
from scope.models.codec import Codec
from scope.models.tiny_vae import TINY_VAE, Stage, TinyVae, TinyVaeConfig
from scope.models.wan import WanConfig, WanTransformer
from scope.pipelines.diffusion import DiffusionStream, Parts, seeded
from scope.pipelines.family import WanOptions
from scope.pipelines.recipes import RECIPES, Recipe

SPATIAL = 8  # pixels per latent row or column
SMALL = WanConfig(dim=128, ffn_dim=256, heads=4, layers=2, text_dim=64, text_len=32)
SMALL_VAE = TinyVaeConfig((Stage(2, 2, 8, 8), Stage(2, 2, 8, 8), Stage(2, 1, 8, 16)), deep_encoder=8, deep_decoder=16, blocks=1)
FEW_CORES = 4


@dataclass(frozen=True, slots=True)
class Diffusion:
    """A loaded row: any number of streams share its weights."""

    recipe: Recipe
    parts: Parts
    seed: int

    def open(self, mode: Mode) -> DiffusionStream:
        return DiffusionStream(self.recipe, self.parts, mode, seeded(self.seed))


def load(name: str, options: WanOptions, progress: Callable[[str], None]) -> Diffusion:
    """The row called `name`. Raises Unavailable when its weights are not to be had."""
    if options.weights != "random":
        raise Unavailable(f"the weights of {name} are not here; load it with weights='random' to measure speed without them")
    if not torch.cuda.is_available() and (os.cpu_count() or 1) <= FEW_CORES:
        torch.set_num_threads(1)
    progress("Making random weights...")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = RECIPES[name]
    return Diffusion(recipe, random_parts(recipe, options, device), options.base_seed)


def random_parts(recipe: Recipe, options: WanOptions, device: torch.device) -> Parts:
    """Untrained networks of the row's shape, or small ones; bfloat16 on a GPU."""
    full = options.random_size == "full"
    config, vae_config = (recipe.base, TINY_VAE) if full else (SMALL, SMALL_VAE)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with torch.device(device):
        net, codec = WanTransformer(config), TinyVae(vae_config)
    draw = torch.Generator(device).manual_seed(options.base_seed)
    _fill(net, draw)
    _fill(codec, draw)
    net.to(dtype).eval().requires_grad_(False)
    codec.to(dtype).eval().requires_grad_(False)
    latent = (options.height // SPATIAL, options.width // SPATIAL)
    embed = lru_cache(maxsize=64)(partial(_hashed_text, config=config, device=device, dtype=dtype))
    ready: Codec = codec
    return Parts(net, ready, embed, latent, (options.height, options.width))


@torch.no_grad()
def _fill(module: nn.Module, draw: torch.Generator) -> None:
    for parameter in module.parameters():
        spread = (1 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else 0.02
        parameter.copy_(torch.randn(parameter.shape, generator=draw, device=parameter.device) * spread)


def _hashed_text(text: str, config: WanConfig, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[1, L, D]: a row per word, the same for the same word; stands in where no encoder was trained."""
    words = text.lower().split()[: config.text_len] or [""]
    rows = [torch.randn(config.text_dim, generator=torch.Generator().manual_seed(zlib.crc32(word.encode()))) for word in words]
    embedding = torch.zeros(1, config.text_len, config.text_dim)
    embedding[0, : len(rows)] = torch.stack(rows)
    return embedding.to(device, dtype)


longlive, streamdiffusionv2, krea_realtime_video, reward_forcing, memflow = (
    partial(load, name) for name in ("longlive", "streamdiffusionv2", "krea-realtime-video", "reward-forcing", "memflow")
)
