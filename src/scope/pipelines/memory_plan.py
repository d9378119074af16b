"""How much device memory a row will take at a size, before anything is loaded, and what to ask for when it is too much.

Weights and caches are counted exactly, from the shapes. What the passes need while they run is an estimate: the largest tensors
of one transformer block, and of the decoder at full size. Shape suffixes as in `models/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from scope.errors import Unavailable
from scope.models.cache import CachePolicy
from scope.models.umt5 import UMT5_XXL, Umt5
from scope.models.vace import VaceBranch
from scope.models.wan import WanConfig, WanTransformer
from scope.models.weights import on_meta
from scope.pipelines.family import WanOptions
from scope.pipelines.parts import latent_size
from scope.pipelines.recipes import Recipe

GIB = 1 << 30
RUNTIME = 700 << 20  # what the driver, kernels and the allocator's gaps take on a GPU
LINEAR_SHARE = 0.98  # of a network's weights: what quantisation halves
CODEC_MIB = {"wan": 243, "lightvae": 16, "tae": 22, "lighttae": 22}  # weights in bfloat16
CODEC_CHANNELS = {"wan": 96 * 6, "lightvae": 24 * 6, "tae": 64 * 3, "lighttae": 64 * 3}  # live at full size while decoding


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes on the device, by what they are for."""

    network: int
    vace: int
    text: int
    codec: int
    caches: int
    work: int
    runtime: int = 0

    @property
    def total(self) -> int:
        return self.network + self.vace + self.text + self.codec + self.caches + self.work + self.runtime

    def as_json(self) -> dict[str, float]:
        """In GiB."""
        names = ("network", "vace", "text", "codec", "caches", "work", "runtime", "total")
        return {name: round(getattr(self, name) / GIB, 2) for name in names}


@cache
def weights_of(config: WanConfig) -> int:
    return _count(on_meta(lambda: WanTransformer(config)))


@cache
def _vace_weights(config: WanConfig, blocks: int) -> int:
    return _count(on_meta(lambda: VaceBranch(config, blocks)))


@cache
def _text_weights() -> int:
    return _count(on_meta(lambda: Umt5(UMT5_XXL)))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def cache_bytes(config: WanConfig, policy: CachePolicy, latent: tuple[int, int], width: int) -> int:
    """Keys and values of the past (models-stream.md section 10), and of the prompt."""
    tokens = (latent[0] // 2) * (latent[1] // 2)
    bank = policy.bank.size + 1 if policy.bank else 0  # the candidate lies beside it
    frames = 2 * (policy.window + bank) + (policy.window if policy.positions == "relative" else 0)
    return config.layers * config.dim * width * (frames * tokens + 2 * config.text_len)


def plan(recipe: Recipe, options: WanOptions, *, vace: bool, width: int = 2) -> Plan:
    """`width`: bytes per number, 2 on a GPU and 4 on a CPU."""
    latent, config = latent_size(options), recipe.base
    narrow = 1 - LINEAR_SHARE + LINEAR_SHARE / width if options.quantization else 1.0
    network = int(weights_of(config) * width * narrow)
    branch = int(_vace_weights(config, recipe.vace_blocks) * width * narrow) if vace else 0
    text = 0 if options.text_encoder == "cpu" else _text_weights()  # kept in fp8: a byte each
    frames = max(recipe.policy.chunk, recipe.policy.window if recipe.recache else 0)
    tokens = frames * (latent[0] // 2) * (latent[1] // 2)
    block = tokens * (10 * config.dim + 2 * config.ffn_dim) * width
    decode = CODEC_CHANNELS[options.vae_type] * 4 * options.height * options.width * width
    caches = cache_bytes(config, recipe.policy, latent, width)
    codec = CODEC_MIB[options.vae_type] * (1 << 20) * width // 2
    return Plan(network, branch, text, codec, caches, max(block, decode), RUNTIME if width == 2 else 0)


def smaller(options: WanOptions) -> Iterator[tuple[str, WanOptions]]:
    """What could be asked for instead, the least loss first; each keeps what the one before has saved."""
    changes: list[tuple[str, dict[str, object]]] = [
        ("text_encoder 'cpu'", {"text_encoder": "cpu"}),
        ("vae_type 'lightvae'", {"vae_type": "lightvae"}),
        ("quantization 'fp8_e4m3fn'", {"quantization": "fp8_e4m3fn"}),
        ("half the size", {"height": options.height // 32 * 16, "width": options.width // 32 * 16}),
    ]
    said: list[str] = []
    for words, change in changes:
        options = options.model_copy(update=change)
        said.append(words)
        yield ", ".join(said), options


def check(recipe: Recipe, options: WanOptions, free: int, *, vace: bool, width: int = 2) -> Plan:
    """The plan, if it fits. Raises Unavailable saying what would."""
    wanted = plan(recipe, options, vace=vace, width=width)
    if wanted.total <= free:
        return wanted
    fits = next((words for words, less in smaller(options) if plan(recipe, less, vace=False, width=width).total <= free), None)
    advice = f"it would fit with {fits}{' and without VACE' if vace else ''}" if fits else "choose a smaller pipeline"
    raise Unavailable(f"this needs about {wanted.total / GIB:.1f} GiB and {free / GIB:.1f} GiB are free; {advice}")


def free_bytes(device: torch.device) -> int:
    """What may still be used on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)
