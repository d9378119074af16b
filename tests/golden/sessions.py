"""Replay a recorded Scope session: prompts, resets, video, VACE and caches, driven from the arguments of each call.

It takes from the record only what the models do not decide: arguments, noise, when the caches were reset, and start frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from scope.models.blend import SCOPE, blend, transition
from scope.models.cache import BankPolicy, CachePolicy
from scope.models.memory import Memory
from scope.models.vace import VaceBranch
from scope.models.vace_context import Encoders, Shown, context, extension, fit_image
from scope.models.wan import WanConfig, WanTransformer
from tests.golden.case import Case, Tensors
from tests.golden.nets import transformer
from tests.golden.toy_vae import ToyVae


def weights_of(common: Case) -> tuple[Tensors, Tensors]:
    """The generator's and the VACE module's parameters."""
    mine = {k.removeprefix("w."): v for k, v in common.floats().items() if k.startswith("w.")}
    vace = {k: v for k, v in mine.items() if k.startswith("vace_")}
    return {k: v for k, v in mine.items() if k not in vace}, vace


def policy_of(case: Case) -> CachePolicy:
    """The row of the pipeline a case recorded (models-stream.md 1.2), with the originals' faults switched on."""
    config, base = case.meta["pipeline_config"], case.meta["base_model_kwargs"]
    window, chunk, sink = config["local_attn_size"], config["num_frame_per_block"], base.get("sink_size", 3)
    rows = {
        "streamdiffusionv2": CachePolicy(window, sink, chunk),
        "krea-realtime-video": CachePolicy(window, 0, chunk, zero_keys_to=128),
        "reward-forcing": CachePolicy(window, sink, chunk, on_evict="blend", positions="relative"),
        "memflow": CachePolicy(window, sink, chunk, protect_sink=True, deferred=not has_vace(case), bank=bank_of(case)),
    }
    return rows[case.meta["pipeline"]]


def bank_of(case: Case) -> BankPolicy | None:
    config, base = case.meta["pipeline_config"], case.meta["base_model_kwargs"]
    if "record_interval" not in config or has_vace(case):
        return None
    return BankPolicy(base["bank_size"], base["record_interval"], config["record_interval"], count="frames")


def has_vace(case: Case) -> bool:
    return bool(case.meta["common"] == "common.vace")


@dataclass
class Prompts:
    """Which embedding a call runs under (models-stream.md 2.6), following Scope's rules for stale prompts."""

    embeddings: dict[str, Tensor]
    current: Tensor | None = None
    seen: Any = None
    target: Any = None
    queue: deque[Tensor] = field(default_factory=deque)
    path: Any = "linear"

    @property
    def crossing(self) -> bool:
        """Whether a transition still has steps to go."""
        return bool(self.queue)

    def clear(self) -> None:
        self.current = self.seen = self.target = None
        self.queue.clear()

    def mixed(self, prompts: Sequence[dict[str, Any]]) -> Tensor:
        return blend([self.embeddings[p["text"]] for p in prompts], [p["weight"] for p in prompts], self.path, SCOPE)

    def step(self, args: dict[str, Any]) -> bool:
        """Move to this call's embedding; True if it was replaced."""
        self.path = args.get("spatial_interpolation_method", self.path)
        wish = args.get("transition")
        if wish and wish["num_steps"] > 0 and self.current is not None:
            if wish["target_prompts"] != self.target:
                goal = self.mixed(wish["target_prompts"])
                path = wish.get("temporal_interpolation_method", "linear")
                self.queue = deque(transition(self.current, goal, wish["num_steps"], path, SCOPE))
                self.target = wish["target_prompts"]
        elif args.get("prompts", self.seen) != self.seen:
            self.queue.clear()
            self.current, self.seen, self.target = self.mixed(args["prompts"]), args["prompts"], None
            return True
        if not self.queue:
            return False
        self.current = self.queue.popleft()
        return True


@dataclass
class Stage:
    """The parts of a recorded session: network, memory, stand-in VAE, prompts, VACE."""

    case: Case
    net: WanTransformer
    memory: Memory
    vae: ToyVae
    prompts: Prompts
    branch: VaceBranch | None
    shown: dict[str, Tensor] = field(default_factory=dict)  # VACE frames and masks that stay until replaced

    @classmethod
    def of(cls, case: Case) -> Stage:
        common = case.sibling(case.meta["common"])
        config, (main, vace), given = case.meta["model_config"], weights_of(common), common.floats()
        net = transformer(config, main)
        memory = Memory(policy_of(case), net.room(case.meta["height"] // 8, case.meta["width"] // 8))
        rows = {text: given[f"prompt{i}"] for i, text in enumerate(case.meta["prompt_order"])}
        wide = {text: pad(e, (0, 0, 0, config["text_len"] - len(e)))[None] for text, e in rows.items()}
        branch = vace_branch(net.config, vace, tuple(case.meta["vace_layers"])) if vace else None
        return cls(case, net, memory, ToyVae(given["vae.E"], given["vae.D"]), Prompts(wide), branch)

    def control_context(self, index: int, args: dict[str, Any]) -> Tensor | None:
        """This call's VACE context, or None if it has none."""
        if self.branch is None:
            return None
        size = self.case.meta["height"], self.case.meta["width"]
        shown = self.shown_frames(index, args, size)
        images = [fit_image(self.case.tensors[name], *size) for name in args.get("vace_ref_images", [])]
        if shown is None and not images:
            return None
        encoders = Encoders(self.vae.encode, self.vae.encode, lambda x: self.vae.encode(x, cached=False))
        return context(shown, images, encoders)

    def shown_frames(self, index: int, args: dict[str, Any], size: tuple[int, int]) -> Shown | None:
        self.keep_frames(index, args, size)
        frames, mask = self.shown.get("frames"), self.shown.get("masks")
        ends = [args.get(f"{side}_frame_image") for side in ("first", "last")]
        if any(ends):
            first, last = (fit_image(self.case.tensors[name], *size) if name else None for name in ends)
            return extension(first, last, 4 * self.memory.policy.chunk, control=frames, mask=mask)
        if frames is None:
            return None
        return Shown(frames, frames.new_ones(1, 1, *frames.shape[2:]) if mask is None else mask)

    def keep_frames(self, index: int, args: dict[str, Any], size: tuple[int, int]) -> None:
        start = self.case.meta["calls"][index]["generator_calls"][-1]["current_start_tokens"]
        frames = 4 * self.memory.policy.chunk + (start == 0)
        sticky = self.case.meta["pipeline"] != "krea-realtime-video"
        if not sticky:
            self.shown.clear()
        if "vace_input_frames" in args:
            self.shown["frames"] = video_of(self.case.tensors[f"c{index}.vace_input_frames_small"], frames, size) / 127.5 - 1
        if "vace_input_masks" in args:
            masks = video_of(self.case.tensors[f"c{index}.vace_input_masks_small"], frames, size)
            self.shown["masks"] = (masks / 255).clamp(0, 1)


def vace_branch(config: WanConfig, weights: Tensors, layers: tuple[int, ...]) -> VaceBranch:
    blocks = len({k.split(".")[1] for k in weights if k.startswith("vace_blocks.")})
    branch = VaceBranch(config, blocks, layers=layers)
    branch.load_state_dict(weights)
    return branch.eval().requires_grad_(False)


def video_of(small: Tensor, frames: int, size: tuple[int, int]) -> Tensor:
    """uint8 [T, H/8, W/8, C] -> float [1, C, frames, H, W] on the 0..255 scale, resampled in time as Scope does."""
    picked = small[torch.linspace(0, len(small) - 1, frames).round().long()] if len(small) != frames else small
    wide = picked.repeat_interleave(8, 1).repeat_interleave(8, 2).permute(3, 0, 1, 2)[None].float()
    assert tuple(wide.shape[-2:]) == size
    return wide
