"""A stream on the smallest networks there are, and what a client says to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scope.contract import Mode
from scope.frame import Frame
from scope.models.tiny_vae import Stage, TinyVae, TinyVaeConfig
from scope.models.wan import WanConfig, WanTransformer
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import WanOptions, WanParams
from scope.pipelines.loading import Diffusion, load
from scope.pipelines.parts import Parts, _fill, _hashed_text
from scope.pipelines.recipes import RECIPES
from scope.pipelines.rules import Seeded, StreamRules
from scope.pipelines.words import Words

SIZE = {"height": 32, "width": 48}
TINY = WanConfig(dim=24, ffn_dim=24, heads=2, layers=1, freq_dim=16, text_dim=8, text_len=4)
TINY_CODEC = TinyVaeConfig((Stage(2, 2, 4, 4), Stage(2, 2, 4, 4), Stage(2, 1, 4, 4)), deep_encoder=4, deep_decoder=4, blocks=1)


def pipeline(name: str, **options: Any) -> Diffusion:
    """A row with small random weights."""
    return load(name, WanOptions.model_validate({"weights": "random", **SIZE, **options}), lambda text: None)


def tiniest(name: str, mode: Mode = "text", **more: Any) -> DiffusionStream:
    """A row on one layer of a few thousand numbers and a picture of four tokens."""
    draw, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    net, codec = WanTransformer(TINY), TinyVae(TINY_CODEC)
    for part in (net, codec):
        _fill(part, draw)
        part.eval().requires_grad_(False)
    words = Words(lambda text: _hashed_text(text, TINY, cpu, torch.float32), beside=False)
    parts = Parts(net, codec, words, (4, 4), (32, 32))
    return DiffusionStream(RECIPES[name], parts, mode, Seeded(1), more.pop("rules", StreamRules()), **more)


def said(**values: Any) -> WanParams:
    return WanParams.model_validate(values)


def camera(count: int, seed: int = 0, size: tuple[int, int] = (32, 48)) -> list[Frame]:
    draw = np.random.default_rng(seed)
    return [Frame.from_rgb(draw.integers(0, 255, (*size, 3), np.uint8), i / 16) for i in range(count)]


def pictures(frames: Any) -> Any:
    return np.stack([frame.rgb() for frame in frames])
