"""The trained parts of a loaded row, shared by every stream of it; and parts that nobody has trained."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from scope.errors import NotFound
from scope.models.codec import Codec
from scope.models.lora import Adapters
from scope.models.tiny_vae import LIGHT_TINY_VAE, TINY_VAE, Stage, TinyVae, TinyVaeConfig
from scope.models.vace import VaceBranch
from scope.models.vae import LIGHT_VAE, WAN_VAE, WanVae
from scope.models.wan import WanConfig, WanTransformer
from scope.pipelines.family import MERGE, LoraItem, WanOptions
from scope.pipelines.recipes import Recipe
from scope.pipelines.steering import Open
from scope.pipelines.words import Words

SPATIAL = 8  # pixels per latent row or column
SMALL = WanConfig(dim=128, ffn_dim=256, heads=4, layers=2, text_dim=64, text_len=32)
SMALL_VAE = TinyVaeConfig((Stage(2, 2, 8, 8), Stage(2, 2, 8, 8), Stage(2, 1, 8, 16)), deep_encoder=8, deep_decoder=16, blocks=1)


@dataclass(frozen=True, slots=True)
class Decoder:
    """One choice of `vae_type`."""

    file: str
    make: Callable[[Recipe], WanVae | TinyVae]


DECODERS = {
    "wan": Decoder("wan-vae", lambda recipe: WanVae(replace(WAN_VAE, encodes=recipe.encodes))),
    "lightvae": Decoder("light-vae", lambda recipe: WanVae(replace(LIGHT_VAE, encodes=recipe.encodes))),
    "tae": Decoder("tiny-vae", lambda recipe: TinyVae(TINY_VAE)),
    "lighttae": Decoder("light-tiny-vae", lambda recipe: TinyVae(LIGHT_TINY_VAE)),
}


def no_images(name: str) -> Tensor:
    raise NotFound(f"no image {name!r}")


@dataclass(frozen=True, slots=True)
class Parts:
    """On their device, ready to run. Only the strength of a LoRA may change."""

    net: WanTransformer
    codec: Codec
    words: Words
    latent: tuple[int, int]  # rows, columns
    pixels: tuple[int, int]  # rows, columns
    vace: VaceBranch | None = None
    images: Open = no_images
    adapters: Adapters | None = None  # LoRAs that run beside the weights, by the path they were asked for under
    loras: Mapping[str, LoraItem] = field(default_factory=dict)  # every loaded LoRA by that path, with what became of it

    def scale_lora(self, path: str, scale: float) -> str:
        """Turn a LoRA; gives the sentence that says why it cannot be turned, or nothing."""
        if path not in self.loras:
            return f"No LoRA {path[:200]!r} is loaded here."
        if self.loras[path].merge_mode == MERGE or self.adapters is None:
            return f"{path[:200]} is part of the weights; load it with merge_mode 'runtime_peft' to turn it while it runs."
        self.adapters.set_scale(path, scale)
        return ""


def latent_size(options: WanOptions) -> tuple[int, int]:
    return options.height // SPATIAL, options.width // SPATIAL


def work_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def untrained(recipe: Recipe, options: WanOptions, device: torch.device, *, images: Open = no_images) -> Parts:
    """Random networks of the row's shape, or small ones; bfloat16 on a GPU."""
    full = options.random_size == "full" and options.weights == "random"
    config, dtype = recipe.base if full else SMALL, work_dtype(device)
    with torch.device(device):
        net = WanTransformer(config)
        codec = DECODERS[options.vae_type].make(recipe) if full else TinyVae(SMALL_VAE)
        blocks = recipe.vace_blocks if full else config.layers
        vace = VaceBranch(config, blocks) if options.vace_enabled else None
    draw = torch.Generator(device).manual_seed(options.base_seed)
    for part in (net, codec, *((vace,) if vace else ())):
        _fill(part, draw)
        part.to(dtype).eval().requires_grad_(False)
    words = Words(partial(_hashed_text, config=config, device=device, dtype=dtype))
    ready: Codec = codec
    return Parts(net, ready, words, latent_size(options), (options.height, options.width), vace, images)


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
