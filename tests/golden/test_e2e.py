"""Pixels in, pixels out: the whole LongLive pipeline as Scope runs it (models-wan.md section 11), driven from golden/wan 13."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from scope.models.codec import SCOPE, CodecState
from scope.models.flow import Schedule, first_step, mix
from scope.models.memory import Memory
from scope.models.motion import scope_noise_scale
from scope.models.pictures import pick
from scope.models.vae import WanVae
from tests.golden.case import Case
from tests.golden.nets import Loop, wan_net, wan_policy
from tests.golden.sessions import Prompts
from tests.golden.test_vae import config_of

ATOL = 2e-5


@dataclass
class Session:
    """The rules of one call: modes, resets, prompts, video, denoising, decoding."""

    case: Case
    loop: Loop
    vae: WanVae
    codec: CodecState
    prompts: Prompts
    start: int = 0
    video_mode: bool | None = None
    steps: list[int] | None = None
    crossing: bool = False  # a transition was running in the previous call
    past: list[Tensor] = field(default_factory=list)
    last: Tensor | None = None  # final frame the noise controller saw
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case) -> Session:
        net, config = wan_net(case), case.config
        memory = Memory(wan_policy(config), net.room(*config["latent_hw"]))
        weights = case.sibling(config["vae_weights"])
        vae = WanVae(config_of(weights.config))
        vae.load_state_dict(weights.tensors)
        embeds = {k.removeprefix("embed."): v for k, v in case.tensors.items() if k.startswith("embed.")}
        wide = {k: pad(v, (0, 0, 0, net.config.text_len - len(v)))[None] for k, v in embeds.items()}
        loop = Loop(net, memory, Schedule(config["shift"]), net.read(next(iter(wide.values()))))
        return cls(case, loop, vae.eval().requires_grad_(False), vae.open(SCOPE), Prompts(wide), tensors=case.tensors)

    def call(self, index: int, args: dict[str, Any]) -> None:
        video = f"chunk{index}.input" in self.tensors
        init = args.get("init_cache", self.video_mode is not video)
        changed = self.condition(args, init=init)
        manage = args.get("manage_cache", self.case.config["manage_cache"])
        steps = args.get("denoising_step_list", self.steps)
        init = init or (manage and self.steps is not None and steps != self.steps)
        cut = changed and manage and video and not self.crossing and not self.prompts.crossing
        limit = self.case.config["max_rope_freq_table_seq_len"] - self.case.config["frames_per_chunk"]
        if init or cut or self.start >= limit:
            self.reset()
        self.video_mode, self.steps, self.crossing = video, steps, self.prompts.crossing
        self.produce(index, args, changed=changed)

    def condition(self, args: dict[str, Any], *, init: bool) -> bool:
        if init:
            self.prompts.clear()
            self.last = None
        changed = self.prompts.step(args)
        if changed and self.prompts.current is not None:
            self.loop.text = self.loop.net.read(self.prompts.current)
        return changed

    def reset(self) -> None:
        self.loop.memory.reset()
        self.codec.reset()
        self.past, self.start = [], 0

    def produce(self, index: int, args: dict[str, Any], *, changed: bool) -> None:
        assert self.steps is not None and self.prompts.current is not None
        case, name = self.case, f"chunk{index}"
        case.close(self.prompts.current, f"{name}.cond", atol=2e-6)
        draw = torch.Generator().manual_seed(case.config["base_seed"] + self.start)
        noise, steps = self.begin(index, args, draw)
        if changed and self.past:
            seen = torch.cat(self.past, 1)[:, -self.loop.memory.policy.window :]
            self.loop.recache(seen, self.start - seen.shape[1])
        draws = [torch.randn(noise.shape[1:], generator=draw) for _ in steps[1:]]
        out = self.loop.chunk(noise, steps, draws, self.start)
        case.close(out, f"{name}.latents", atol=ATOL)
        pixels = (self.vae.decode(out, self.codec) / 2 + 0.5).clamp(0, 1)
        case.close(pixels[0].permute(0, 2, 3, 1), f"{name}.video", atol=ATOL)
        self.past.append(out)
        self.start += out.shape[1]
        case.equal(self.start, int(self.tensors[f"{name}.end_frame"]))

    def begin(self, index: int, args: dict[str, Any], draw: torch.Generator) -> tuple[Tensor, list[float]]:
        """Noise or noisy video, and the steps to run."""
        config = self.case.config
        steps = [float(s) for s in self.steps or []]
        frames = config["frames_per_chunk"]
        if not self.video_mode:
            return torch.randn(1, frames, 16, *config["latent_hw"], generator=draw), steps
        given = self.tensors[f"chunk{index}.input"]
        chosen = given[pick(len(given), 4 * frames + (self.start == 0))].permute(3, 0, 1, 2)[None].float()
        video = chosen / 255 * 2 - 1
        scale = args.get("noise_scale", 0.7)
        if args.get("noise_controller", True):
            scale = scope_noise_scale(video, self.last, frames, scale)
            self.last = video[:, :, -1:]  # a chunk the controller does not look at is not remembered either
        self.case.close(torch.tensor(scale), self.tensors[f"chunk{index}.noise_scale"].squeeze(), atol=1e-6)
        encoded = self.vae.encode(video, self.codec)
        return mix(torch.randn(encoded.shape, generator=draw), encoded, scale), [float(first_step(scale)), *steps[1:]]


@pytest.mark.golden("13_e2e_")
def test_pixels_in_pixels_out(case: Case) -> None:
    session = Session.of(case)
    with torch.inference_mode():
        for index, args in enumerate(case.config["calls"]):
            session.call(index, args)
