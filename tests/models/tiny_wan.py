"""A transformer of a few thousand parameters with random weights, and memories for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scope.models.bank import Bank
from scope.models.cache import BankPolicy, CachePolicy, Call, Kind
from scope.models.memory import Memory
from scope.models.wan import WanConfig, WanTransformer

CONFIG = WanConfig(dim=40, ffn_dim=56, heads=2, layers=2, freq_dim=32, text_dim=12, text_len=9)
ROWS, COLS = 4, 6  # latent
POLICIES = {
    "longlive": CachePolicy(8, 2, 2, protect_sink=True),
    "streamdiffusionv2": CachePolicy(6, 3, 1),
    "krea": CachePolicy(4, 0, 2, zero_keys_to=16),
    "reward-forcing": CachePolicy(6, 2, 2, on_evict="blend", blend=0.9, positions="relative"),
    "memflow": CachePolicy(8, 2, 2, protect_sink=True, deferred=True, bank=BankPolicy(2, 2, 2)),
}


def fill(module: nn.Module, seed: int = 0) -> None:
    """Random parameters large enough for every part to matter."""
    draw = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * (0.5 / max(1, parameter.shape[-1]) ** 0.5 + 0.1)


def tiny(config: WanConfig = CONFIG, seed: int = 0) -> WanTransformer:
    net = WanTransformer(config)
    fill(net, seed)
    return net.eval().requires_grad_(False)


def prompt(seed: int = 1) -> Tensor:
    return torch.randn(1, 5, CONFIG.text_dim, generator=torch.Generator().manual_seed(seed))


def latents(frames: int, seed: int = 2) -> Tensor:
    return torch.randn(1, frames, 16, ROWS, COLS, generator=torch.Generator().manual_seed(seed))


def chunk(net: WanTransformer, memory: Memory, start: int, seed: int, *, bias: float = 1.0) -> Tensor:
    """Two denoising passes and a clean one over one usual chunk; everything the three answered."""
    frames, text = memory.policy.chunk, net.read(prompt())
    out = []
    kinds: tuple[tuple[Kind, float], ...] = (("first", 900.0), ("step", 400.0), ("clean", 0.0))
    for i, (kind, t) in enumerate(kinds):
        call = Call(start, frames, kind, bias if kind != "clean" else 1.0)
        out.append(net(latents(frames, seed * 3 + i), torch.full((1, frames), t), text, memory.begin(call, text)))
    return torch.cat(out)


def bank_of(memory: Memory) -> Bank:
    assert memory.bank is not None
    return memory.bank
