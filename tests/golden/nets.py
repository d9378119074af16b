"""Build networks and step through chunks from what a recorded case says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scope.models.cache import CachePolicy, Call, TextMemory
from scope.models.flow import Schedule, clean, renoise
from scope.models.memory import Memory
from scope.models.wan import WanConfig, WanTransformer
from tests.golden.case import Case, Tensors


def transformer(row: dict[str, Any], weights: Tensors) -> WanTransformer:
    """A network with exactly these parameters, in float32."""
    net = WanTransformer(WanConfig.from_json(row))
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def wan_net(case: Case) -> WanTransformer:
    weights = case.sibling(case.config["weights"])
    return transformer(case.config.get("transformer", weights.config), weights.tensors)


def wan_policy(config: dict[str, Any], **options: Any) -> CachePolicy:
    """The policy a golden/wan config describes; global attention is a window nobody fills."""
    local = config["local_attn_size"]
    window = local if local > 0 else config["kv_cache_frames"]
    keep: Literal["keep", "rewrite"] = "keep" if config.get("global_sink", True) else "rewrite"
    chunk = config["frames_per_chunk"]
    return CachePolicy(window, config["sink_size"], chunk, protect_sink=True, recache_sink=keep, **options)


def in_order(memory: Memory, tensor: Tensor) -> Tensor:
    """One layer's cache with its frames oldest first and empty slots last, as the originals store it."""
    tokens = memory.room.grid.frame_tokens
    window = memory.policy.window
    rest = [s for s in range(window) if s not in memory.order]
    slots = tensor[:, : window * tokens].reshape(len(tensor), window, tokens, *tensor.shape[2:])
    return slots[:, [*memory.order, *rest]].flatten(1, 2)


@dataclass
class Loop:
    """The few-step loop of one chunk on one stream (models-wan.md section 7)."""

    net: WanTransformer
    memory: Memory
    schedule: Schedule
    text: TextMemory
    clean_pass: bool = True

    def flow(self, x: Tensor, t: Tensor, call: Call) -> Tensor:
        out: Tensor = self.net(x, t, self.text, self.memory.begin(call, self.text))
        return out

    def chunk(self, x: Tensor, steps: Iterable[float], noises: Iterable[Tensor], start: int) -> Tensor:
        steps, noises = list(steps), iter(noises)
        frames = x.shape[1]
        for i, t in enumerate(steps):
            call = Call(start, frames, "step" if i else "first")
            x0 = clean(x, self.flow(x, torch.full((1, frames), float(t)), call), self.schedule.sigma(t))
            if i + 1 < len(steps):
                x = renoise(x0, next(noises)[None], self.schedule.sigma(steps[i + 1]))
        if self.clean_pass:
            self.flow(x0, torch.zeros(1, frames), Call(start, frames, "clean"))
        return x0

    def recache(self, latents: Tensor, start: int) -> None:
        """Run old latents [1, R, 16, h, w] of frames start.. again under the prompt in `text`."""
        frames = latents.shape[1]
        self.flow(latents, torch.zeros(1, frames), Call(start, frames, "recache"))
