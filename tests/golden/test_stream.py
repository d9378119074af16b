"""Whole recorded Scope sessions: StreamDiffusionV2, Krea, Reward-Forcing, MemFlow, with and without VACE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from scope.models.cache import Call, Kind, TextMemory
from scope.models.flow import Schedule, clean, first_step, mix, renoise
from scope.models.motion import scope_noise_scale
from scope.models.vace import Control
from tests.golden.case import Case
from tests.golden.nets import in_order
from tests.golden.sessions import Stage, video_of

ATOL = RTOL = 1e-4
CONTEXT_FRAMES = 3


@dataclass
class Replay:
    """One session, call by call."""

    case: Case
    stage: Stage
    schedule: Schedule
    tensors: dict[str, Tensor]
    text: TextMemory | None = None
    stale: bool = True  # MemFlow parity: text keys are zero when the bank is first folded after a prompt change
    past: Tensor | None = None  # clean latents so far
    first: Tensor | None = None
    pixels: Tensor | None = None
    control: Control | None = None
    scale: float = 1.0
    last: Tensor | None = None  # final frame the noise controller saw

    @property
    def krea(self) -> bool:
        return bool(self.case.meta["pipeline"] == "krea-realtime-video")

    def call(self, index: int) -> None:
        row = self.case.meta["calls"][index]
        self.reset(index, row)
        changed = self.stage.prompts.step(row["args"])
        self.case.equal(changed, row["conditioning_embeds_updated"])
        if changed:
            current = self.stage.prompts.current
            assert current is not None
            self.text, self.stale = self.stage.net.read(current), True
        x = self.latents(index, row)
        self.control = self.steer(index, row)
        final = self.passes(index, row, x)
        self.case.close(final, self.tensors[f"c{index}.latents"], atol=ATOL, rtol=RTOL)
        self.remember(final)
        self.check_caches(index)

    def reset(self, index: int, row: dict[str, Any]) -> None:
        """Which calls reset the caches is the pipeline's rule; whether prompts were forgotten too is seen from `init`."""
        calls = self.case.meta["calls"]
        mode = ["video" in c["args"] for c in calls[: index + 1]]
        init = row["args"].get("init_cache", index == 0 or mode[-1] != mode[-2])
        if init:
            self.stage.prompts.clear()
            self.last = None
        if row["generator_calls"][-1]["current_start_tokens"] == 0:
            self.stage.memory.reset(keep_bank=not init)
            self.stage.vae.clear()
            self.past, self.stale = None, True

    def latents(self, index: int, row: dict[str, Any]) -> Tensor:
        noise = self.tensors[f"c{index}.noise0"]
        if "video" not in row["args"]:
            return noise
        fresh = row["generator_calls"][-1]["current_start_tokens"] == 0
        frames = 4 * self.stage.memory.policy.chunk + fresh
        size = self.case.meta["height"], self.case.meta["width"]
        pixels = video_of(self.case.tensors[f"c{index}.video_small"], frames, size) / 255 * 2 - 1
        encoded = self.stage.vae.encode(pixels)
        self.case.close(encoded, self.tensors[f"c{index}.enc0.latent"], atol=ATOL)
        return mix(noise, encoded, self.noise_scale(row, pixels))

    def noise_scale(self, row: dict[str, Any], pixels: Tensor) -> float:
        """What the controller makes of the request; the request itself where it is off."""
        scale: float = row["args"].get("noise_scale", 0.7)
        if row["args"].get("noise_controller", True):
            scale = scope_noise_scale(pixels, self.last, self.stage.memory.policy.chunk, scale)
            self.last = pixels[:, :, -1:]
        self.case.close(torch.tensor(scale), torch.tensor(row["noise_scale_used"]), atol=1e-6)
        steps = [g["t"][0] for g in row["generator_calls"] if g["t"][0] > 0]
        self.case.equal(int(steps[0]), first_step(scale))
        return scale

    def steer(self, index: int, row: dict[str, Any]) -> Control | None:
        self.scale = row["args"].get("vace_context_scale", self.scale)
        found = self.stage.control_context(index, row["args"])
        if found is None or self.stage.branch is None:
            return None
        self.case.close(found[0].transpose(0, 1), self.tensors[f"c{index}.vace_context"], atol=ATOL)
        current = self.stage.prompts.current
        assert current is not None
        text = self.stage.branch.read(self.stage.net.embed_text(current))
        return Control(self.stage.branch, self.stage.branch.tokens(found), text, self.scale, zero_keys_to=128)

    def passes(self, index: int, row: dict[str, Any], x: Tensor) -> Tensor:
        step, x0 = 0, x
        gens = row["generator_calls"]
        for g in gens:
            start, t = g["current_start_tokens"] // self.stage.memory.room.grid.frame_tokens, torch.tensor([g["t"]])
            if g["is_recache"]:
                assert self.past is not None
                self.flow(self.past[:, -g["frames"] :], t, Call(start, g["frames"], "recache"))
                self.stale = True
            elif t[0, 0] == 0 and self.krea:
                self.flow(self.context_latents(), t, Call(0, g["frames"], "clean"))
            elif t[0, 0] == 0:
                self.flow(x0, t, Call(start, g["frames"], "clean"))
            else:
                if step:
                    x = renoise(x0, self.tensors[f"c{index}.noise{step}"][None], self.schedule.sigma(g["t"][0]))
                kind: Kind = "step" if step else "first"
                x0 = clean(x, self.flow(x, t, Call(start, g["frames"], kind, g["kv_bias"])), self.schedule.sigma(g["t"][0]))
                step += 1
        return x0

    def flow(self, x: Tensor, t: Tensor, call: Call) -> Tensor:
        assert self.text is not None
        stage, searchable = self.stage, None if self.stale else self.text
        steps = call.kind in ("first", "step")
        view = stage.memory.begin(call, searchable)
        out: Tensor = stage.net(x, t, self.text, view, self.control if steps else None)
        self.stale = self.stale and call.kind == "recache"
        return out

    def context_latents(self) -> Tensor:
        """Krea's three context frames: an anchor and the last two latents (models-stream.md 6.2)."""
        assert self.past is not None and self.first is not None and self.pixels is not None
        recent = self.past[:, -CONTEXT_FRAMES + 1 :]
        early = self.past.shape[1] - CONTEXT_FRAMES < CONTEXT_FRAMES
        anchor = self.first if early else self.stage.vae.encode(self.pixels[:, :, :1], cached=False)
        return torch.cat([anchor, recent], 1)

    def remember(self, final: Tensor) -> None:
        if self.past is None:
            self.first, self.pixels = final[:, :1], None
        self.past = final if self.past is None else torch.cat([self.past, final], 1)
        frames = self.stage.vae.decode(final)
        self.pixels = (frames if self.pixels is None else torch.cat([self.pixels, frames], 2))[:, :, -9:]

    def check_caches(self, index: int) -> None:
        memory = self.stage.memory
        for layer in range(memory.room.layers):
            for part, stored in (("k", memory.raw or memory.k), ("v", memory.v)):
                if f"c{index}.kv{layer}.{part}" in self.tensors:
                    recorded = self.tensors[f"c{index}.kv{layer}.{part}"]
                    kept = in_order(memory, stored[layer])[:, : recorded.shape[1]]
                    self.case.close(kept, recorded, atol=ATOL, rtol=RTOL)
            if memory.bank and f"c{index}.bank{layer}.k" in self.tensors:
                self.check_bank(index, layer)

    def check_bank(self, index: int, layer: int) -> None:
        memory, bank = self.stage.memory, self.stage.memory.bank
        assert bank is not None
        begin = bank.window * memory.room.grid.frame_tokens
        found = {"k": memory.k[layer][:, begin:], "v": memory.v[layer][:, begin:]}
        found |= {"k_new": bank.new_k[layer], "v_new": bank.new_v[layer]}
        for name, tensor in found.items():
            self.case.close(tensor, self.tensors[f"c{index}.bank{layer}.{name}"], atol=ATOL, rtol=RTOL)


@pytest.mark.golden("streamdiffusionv2.", "krea-realtime-video.", "reward-forcing.", "memflow.")
def test_scope_session(case: Case) -> None:
    shift = case.meta["base_model_kwargs"].get("timestep_shift", 8.0)
    replay = Replay(case, Stage.of(case), Schedule(shift), case.floats())
    for index in range(len(case.meta["calls"])):
        replay.call(index)
