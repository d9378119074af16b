"""What the networks cost: `python -m bench.models [--size nano|1.3b|14b] [--device cpu|cuda] [--json FILE]`.

Random weights, so no download. Each figure is the median of several repetitions in milliseconds; the transformer step is also set
against what this machine's own matrix products would take for its arithmetic (formulas: models-wan.md), and against the
same network in diffusers where that is installed (a whole clip, as it has no cache), the two taking turns.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from bench.table import Figures, record, show
from scope.models.cache import CachePolicy, Call
from scope.models.lora import Adapters, linears, parse
from scope.models.memory import Memory
from scope.models.quantize import Quantisation, quantise
from scope.models.tiny_vae import TINY_VAE, TinyVae
from scope.models.umt5 import Umt5, Umt5Config
from scope.models.vae import LIGHT_VAE, WAN_VAE, WanVae
from scope.models.wan import WAN_1_3B, WAN_14B, WanConfig, WanTransformer
from scope.models.whole import WholeClip

NANO = WanConfig(dim=256, ffn_dim=1024, heads=4, layers=6, text_dim=256, text_len=32)
WINDOW, SINK, CHUNK = 9, 3, 3  # latent frames


@dataclass(frozen=True, slots=True)
class Setting:
    """One network at one picture size on one device."""

    config: WanConfig
    latent: tuple[int, int]  # rows, columns
    device: torch.device
    dtype: torch.dtype
    repeats: int

    @property
    def tokens(self) -> int:
        """Per latent frame."""
        return self.latent[0] * self.latent[1] // 4


SIZES = {"nano": (NANO, (20, 36)), "1.3b": (WAN_1_3B, (60, 104)), "14b": (WAN_14B, (64, 64))}


def times_ms(setting: Setting, *works: Callable[[], object]) -> list[float]:
    """Median of each, taking turns, after one warm-up."""
    taken: list[list[float]] = [[] for _ in works]
    for repeat in range(setting.repeats + 1):
        for times, work in zip(taken, works, strict=True):
            _settle(setting.device)
            began = perf_counter()
            work()
            _settle(setting.device)
            if repeat:
                times.append((perf_counter() - began) * 1000)
    return [median(times) for times in taken]


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def transformer_of(setting: Setting) -> WanTransformer:
    with torch.device(setting.device):
        net = WanTransformer(setting.config).to(setting.dtype)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.02)
    return net.eval().requires_grad_(False)


def flops(setting: Setting, keys: int) -> float:
    """Of one pass over a chunk that sees `keys` tokens: projections, feed-forward, both attentions."""
    c, t = setting.config, CHUNK * setting.tokens
    linear = 2 * t * (6 * c.dim * c.dim + 2 * c.dim * c.ffn_dim)
    attention = 4 * t * (keys + c.text_len) * c.dim
    return float(c.layers * (linear + attention))


def matmul_rate(setting: Setting) -> float:
    """Floating-point operations a second of the feed-forward's own matrix product."""
    a = torch.randn(CHUNK * setting.tokens, setting.config.dim, device=setting.device, dtype=setting.dtype)
    b = torch.randn(setting.config.dim, setting.config.ffn_dim, device=setting.device, dtype=setting.dtype)
    (ms,) = times_ms(replace(setting, repeats=20), lambda: a @ b)
    return 2.0 * a.numel() * b.shape[1] / (ms / 1000)


def step(setting: Setting, quantisation: Quantisation | None) -> Figures:
    """One denoising pass over a chunk with a full window."""
    net = transformer_of(setting)
    if quantisation is not None:
        quantise(net, quantisation)
    memory = Memory(CachePolicy(WINDOW, SINK, CHUNK), net.room(*setting.latent))
    text = net.read(torch.randn(1, setting.config.text_len, setting.config.text_dim, device=setting.device, dtype=setting.dtype))
    x = torch.randn(1, CHUNK, 16, *setting.latent, device=setting.device, dtype=setting.dtype)
    t = torch.full((1, CHUNK), 500.0, device=setting.device)
    for start in range(0, WINDOW, CHUNK):
        net(x, t, text, memory.begin(Call(start, CHUNK, "clean")))
    call = Call(WINDOW, CHUNK, "first")
    (ms,) = times_ms(setting, lambda: net(x, t, text, memory.begin(call)))
    bound_ms = flops(setting, WINDOW * setting.tokens) / matmul_rate(setting) * 1000
    return {"step_ms": ms, "matmul_bound_ms": bound_ms, "share_of_bound": bound_ms / ms, "peak_mib": peak_mib(setting.device)}


def adapters(setting: Setting, rank: int = 32) -> Figures:
    """A pass with and without a LoRA of `rank` on every layer of every block, its scale turned before each.

    At the width of the 1.3B model, of which a CPU gets two layers: what an adapter costs is rank over width.
    """
    if setting.device.type == "cpu":
        setting = replace(setting, config=replace(WAN_1_3B, layers=2, text_dim=256, text_len=32), repeats=5)
    plain, adapted = transformer_of(setting), transformer_of(setting)
    shapes = {name: size for name, size in linears(adapted).items() if name.startswith("blocks.")}
    file = {f"diffusion_model.{name}.lora_A.weight": torch.randn(rank, size[1]) * 0.01 for name, size in shapes.items()}
    file |= {f"diffusion_model.{name}.lora_B.weight": torch.randn(size[0], rank) * 0.01 for name, size in shapes.items()}
    live = Adapters(adapted, {"style": (parse(file, adapted), 1.0)})
    x = torch.randn(1, CHUNK, 16, *setting.latent, device=setting.device, dtype=setting.dtype)
    t = torch.full((1, CHUNK), 500.0, device=setting.device)
    prompt = torch.randn(1, setting.config.text_len, setting.config.text_dim, device=setting.device, dtype=setting.dtype)
    text = plain.read(prompt)

    def run(net: WanTransformer) -> object:
        live.set_scale("style", 0.7)
        return net(x, t, text, WholeClip(net.grid(*setting.latent), CHUNK, device=setting.device))

    plain_ms, adapted_ms = times_ms(setting, partial(run, plain), partial(run, adapted))
    return {"plain_ms": plain_ms, "rank_32_ms": adapted_ms, "extra_percent": 100 * (adapted_ms / plain_ms - 1)}


def against_diffusers(setting: Setting, frames: int = CHUNK) -> Figures:
    """A whole clip through our network and through diffusers' of the same sizes, taking turns."""
    if find_spec("diffusers") is None:
        return {}
    c = setting.config
    theirs: Any = import_module("diffusers").WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=c.heads, attention_head_dim=c.head_dim, in_channels=16, out_channels=16,
        text_dim=c.text_dim, freq_dim=c.freq_dim, ffn_dim=c.ffn_dim, num_layers=c.layers,
    )  # fmt: skip
    theirs = theirs.to(setting.device, setting.dtype).eval().requires_grad_(False)
    ours = transformer_of(setting)
    x = torch.randn(1, frames, 16, *setting.latent, device=setting.device, dtype=setting.dtype)
    prompt = torch.randn(1, c.text_len, c.text_dim, device=setting.device, dtype=setting.dtype)
    t_BF, t_B = torch.full((1, frames), 500.0, device=setting.device), torch.full((1,), 500.0, device=setting.device)

    def our_clip() -> object:
        view = WholeClip(ours.grid(*setting.latent), frames, device=setting.device)
        return ours(x, t_BF, ours.read(prompt), view)

    ours_ms, theirs_ms = times_ms(setting, our_clip, lambda: theirs(x.transpose(1, 2), t_B, prompt))
    return {"ours_ms": ours_ms, "diffusers_ms": theirs_ms, "ratio": ours_ms / theirs_ms}


def codecs(setting: Setting) -> dict[str, Figures]:
    """Decoding one chunk of latents to pixels, and encoding as many pixels, as streams."""
    rows: dict[str, Figures] = {}
    z = torch.randn(1, CHUNK, 16, *setting.latent, device=setting.device, dtype=setting.dtype)
    x = torch.rand(1, 3, 4 * CHUNK, 8 * setting.latent[0], 8 * setting.latent[1], device=setting.device, dtype=setting.dtype)
    models: dict[str, TinyVae | WanVae] = {"tiny": TinyVae(TINY_VAE), "light": WanVae(LIGHT_VAE), "wan": WanVae(WAN_VAE)}
    for name, model in models.items():
        model.to(setting.device, setting.dtype).eval().requires_grad_(False)
        few = replace(setting, repeats=3 if name == "tiny" or setting.device.type == "cuda" else 1)
        state = model.open()
        encode_ms, decode_ms = times_ms(few, partial(model.encode, x * 2 - 1, state), partial(model.decode, z, state))
        rows[f"vae {name}"] = {"encode_ms_per_frame": encode_ms / (4 * CHUNK), "decode_ms_per_frame": decode_ms / (4 * CHUNK)}
    return rows


def text(setting: Setting) -> Figures:
    """A 512-token prompt through a UMT5 of the XXL's shape; on a CPU one layer of it, times 24."""
    layers = 24 if setting.device.type == "cuda" else 1
    with torch.device(setting.device):
        net = Umt5(Umt5Config(1000, 4096, 4096, 10_240, 64, layers)).to(setting.dtype).eval().requires_grad_(False)
    ids = torch.randint(0, 1000, (1, 512), device=setting.device)
    (ms,) = times_ms(replace(setting, repeats=2), lambda: net(ids, torch.ones_like(ids)))
    return {"prompt_ms": ms * 24 / layers}


def peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quantise", choices=("fp8", "int8"))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    config, latent = SIZES[given.size]
    device = torch.device(given.device)
    setting = Setting(config, latent, device, torch.bfloat16 if device.type == "cuda" else torch.float32, given.repeats)
    plan = Quantisation(given.quantise) if given.quantise else None
    with torch.inference_mode():
        rows: dict[str, Figures] = {
            "step": step(setting, plan),
            "whole clip": against_diffusers(setting),
            "LoRA": adapters(setting),
        }
        rows |= codecs(setting) | {"text": text(setting)}
    for name, row in rows.items():
        show(f"{given.size} {given.device}", {name: row})
    if given.json:
        record(given.json, {"size": given.size, "device": given.device, "threads": 1, "quantise": given.quantise, "rows": rows})


if __name__ == "__main__":
    main()
