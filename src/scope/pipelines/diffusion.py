"""The one causal diffusion stream. LongLive, StreamDiffusionV2, Krea, Reward-Forcing and MemFlow are rows of `Recipe`.

A chunk: prompts, resets, noise or noisy video, denoising over the memory, remembering, decoding (models-stream.md section 2).
Shape suffixes: B batch, F latent frames, C channels, T pixel frames, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from scope.contract import Mode
from scope.frame import Frame
from scope.models.blend import RIGHT as ARCS
from scope.models.blend import Rules as BlendRules
from scope.models.cache import Call, Kind, TextMemory
from scope.models.codec import RIGHT, Codec, CodecState
from scope.models.codec import Rules as CodecRules
from scope.models.flow import Schedule, clean, first_step, mix, renoise
from scope.models.memory import Memory
from scope.models.motion import motion, scope_noise_scale
from scope.models.pictures import to_bytes, to_video
from scope.models.wan import WanTransformer
from scope.pipelines.conditioning import Conditioning
from scope.pipelines.family import WanParams
from scope.pipelines.recipes import Recipe

TIME_FACTOR = 4  # pixel frames per latent frame; the first latent of a stream is one frame
OUTPUT_HZ = 16.0  # what the models were trained at
CONTEXT = 3  # latents that Krea reads again before each chunk
SWAY = 0.1  # how far the noise controller moves the user's noise scale, either way


@dataclass(frozen=True, slots=True)
class Parts:
    """The trained parts, on their device, shared by every stream."""

    net: WanTransformer
    codec: Codec
    embed: Callable[[str], Tensor]  # text -> [1, L, text_dim]
    latent: tuple[int, int]  # rows, columns
    pixels: tuple[int, int]  # rows, columns


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Where the originals' choices can be argued with (docs/decisions/006). The defaults are ours; `SCOPE` is what it does."""

    noise: Literal["felt", "recorded"] = (
        "felt"  # "felt": the user's scale, swayed by motion; "recorded": nine tenths the controller's own
    )
    later_steps: Literal["scaled", "kept"] = (
        "scaled"  # video mode: later steps keep their share of the first; "kept": they may be noisier than it
    )
    codec: CodecRules = field(default=RIGHT)
    prompts: BlendRules = field(default=ARCS)
    bank: Literal["seeing", "blind"] = (
        "seeing"  # MemFlow: frames are chosen by the new prompt; "blind": without one in the pass after a switch
    )
    advance: Literal["frames", "chunk"] = (
        "frames"  # by what was made; "chunk": by one chunk, also after the longer first one (Reward-Forcing)
    )


Draw = Callable[[Sequence[int]], Tensor]  # the next noise of a chunk, of that shape
Noises = Callable[[int], Draw]  # for the chunk that begins at a latent frame


def seeded(seed: int) -> Noises:
    """Noise from `seed` plus the chunk's first frame, drawn on the CPU in float32: it means the same everywhere."""

    def chunk(start: int) -> Draw:
        source = torch.Generator().manual_seed(seed + start)
        return lambda shape: torch.randn(*shape, generator=source)

    return chunk


class DiffusionStream:
    """One video in progress. Everything that changes is here: memory, codec state, prompts, the latents of late."""

    def __init__(self, recipe: Recipe, parts: Parts, mode: Mode, noises: Noises, rules: StreamRules | None = None) -> None:
        self.recipe, self.parts, self.mode, self._noises = recipe, parts, mode, noises
        self.rules = rules or StreamRules()
        self.conditioning = Conditioning(parts.embed, self.rules.prompts)
        self.memory = Memory(recipe.policy, parts.net.room(*parts.latent))
        self.state: CodecState = parts.codec.open(self.rules.codec)
        self.schedule = Schedule(recipe.shift)
        self.text: TextMemory | None = None
        self._steps: tuple[int, ...] | None = None
        self._crossed = False  # a transition was running in the chunk before
        self._shown = 0
        self._last: Tensor | None = None  # last input frame the noise controller saw; a cut of ours is none of the input's
        self.cut()

    def cut(self, *, keep_bank: bool = False) -> None:
        """A hard cut: the coming chunk is the first of a new shot. Prompts stay; MemFlow's bank may."""
        self.memory.reset(keep_bank=keep_bank)
        self._stale = True  # nothing has looked through the memory since the prompt changed
        self.state.reset()
        self.start = 0  # latent frames so far
        self.past: Tensor | None = None  # latest clean latents
        self._first: Tensor | None = None
        self._pixels: Tensor | None = None  # latest decoded frames, for Krea's anchor

    def reset(self) -> None:
        self.conditioning.finish()
        self._last = None
        self.cut()

    def wants(self, params: WanParams) -> int:
        """A chunk of input video; one frame more at the start, which becomes a latent of its own."""
        return TIME_FACTOR * self.recipe.policy.chunk + (self.start == 0) if self.mode == "video" else 0

    @torch.inference_mode()
    def step(self, params: WanParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        """One chunk. Same seed, same frames, whatever came before a reset."""
        crossed, changed = self._crossed or self.conditioning.crossing, self._listen(params)
        steps = params.denoising_step_list or (self.recipe.video_steps if self.mode == "video" else self.recipe.text_steps)
        switched = changed and self.mode == "video" and not (crossed or self.conditioning.crossing)
        other_steps = self._steps is not None and steps != self._steps
        if params.manage_cache and (switched or other_steps):
            self.cut(keep_bank=not other_steps)
        self._steps, self._crossed = steps, self.conditioning.crossing
        draw = self._noises(self.start)
        x, ts = self._begin(frames, params, steps, draw)
        self._prepare(changed=changed)
        final = self._denoise(x, ts, draw, params.kv_cache_attention_bias)
        if self.recipe.context == "clean":
            self._pass(final, 0.0, Call(self.start, final.shape[1], "clean"))
        return self._show(self._remember(final))

    def _listen(self, params: WanParams) -> bool:
        """Take in what was said about prompts; True if the embedding changed."""
        said = params.model_fields_set
        fresh = self.conditioning.current is None
        if fresh or ("prompts" in said and params.transition is None):
            self.conditioning.hear(params.prompts, params.prompt_interpolation_method)
        if fresh and params.transition is not None:
            self._step_prompts()
        if params.transition is not None:
            self.conditioning.start(params.transition, params.prompt_interpolation_method)
        return self._step_prompts() or fresh

    def _step_prompts(self) -> bool:
        changed = self.conditioning.step()
        if changed:
            assert self.conditioning.current is not None
            self.text, self._stale = self.parts.net.read(self.conditioning.current), True
        return changed

    def _begin(
        self, frames: Sequence[Frame], params: WanParams, steps: tuple[int, ...], draw: Draw
    ) -> tuple[Tensor, list[float]]:
        """Noise or noisy video [1, F, 16, h, w], and the timesteps to run."""
        chunk = self.recipe.policy.chunk
        if self.mode == "text":
            count = self.recipe.first_chunk or chunk if self.start == 0 else chunk
            return self._noise((1, count, 16, *self.parts.latent), draw), [float(step) for step in steps]
        wanted = TIME_FACTOR * chunk + (self.start == 0)
        pictures = [frame.rgb() for frame in frames]
        height, width = self.parts.pixels
        video = to_video(pictures, frames=wanted, height=height, width=width, device=self._device, dtype=self._dtype)
        scale = self._noise_scale(video, params)
        encoded = self.parts.codec.encode(video, self.state)
        first = first_step(scale)
        ratio = first / steps[0] if self.rules.later_steps == "scaled" else 1.0
        later = [max(1.0, step * ratio) for step in steps[1:]]
        return mix(self._noise(encoded.shape, draw), encoded, scale), [float(max(1, first)), *later]

    def _noise_scale(self, video: Tensor, params: WanParams) -> float:
        """What the controller makes of the user's scale; moving pictures keep more of themselves."""
        base, chunk = params.noise_scale, self.recipe.policy.chunk
        if not params.noise_controller:
            return base
        last, self._last = self._last, video[:, :, -1:]
        if self.rules.noise == "recorded":
            return scope_noise_scale(video, last, chunk, base)
        before = video[:, :, -chunk - 1 : -1] if last is None else torch.cat([last, video[:, :, -chunk:-1]], 2)
        moved = motion(video[:, :, -chunk:], before)
        return min(1.0, max(0.0, base + SWAY * (1 - 2 * moved)))

    def _prepare(self, *, changed: bool) -> None:
        """What must be in the memory before the chunk: latents read again under a new prompt, or a rebuilt past."""
        if self.past is None:
            return
        if self.recipe.context == "rebuilt":
            self._pass(self._context(self.past), 0.0, Call(0, CONTEXT, "clean"))
        elif changed and self.recipe.recache:
            seen = self.past[:, -self.recipe.policy.window :]
            self._pass(seen, 0.0, Call(self.start - seen.shape[1], seen.shape[1], "recache"))
            self._stale = True

    def _context(self, past: Tensor) -> Tensor:
        """Krea's three: an anchor and the last two latents (models-stream.md 6.2)."""
        assert self._first is not None and self._pixels is not None
        early = self.start < 2 * CONTEXT
        anchor = self._first if early else self.parts.codec.encode(self._pixels[:, :1].transpose(1, 2))
        return torch.cat([anchor, past[:, 1 - CONTEXT :]], 1)

    def _denoise(self, x: Tensor, ts: list[float], draw: Draw, bias: float) -> Tensor:
        rebuilt = self.recipe.context == "rebuilt"
        start = min(self.start, CONTEXT) if rebuilt else self.start
        x0 = x
        for number, t in enumerate(ts):
            if number:
                x = renoise(x0, self._noise(x.shape[1:], draw)[None], self.schedule.sigma(t))
            kind: Kind = "step" if number else "first"
            flow = self._pass(x, t, Call(start, x.shape[1], kind, bias if rebuilt else 1.0))
            x0 = clean(x, flow, self.schedule.sigma(t))
        return x0

    def _pass(self, x: Tensor, t: float, call: Call) -> Tensor:
        assert self.text is not None
        at = torch.full((1, x.shape[1]), t, device=self._device)
        blind = self._stale and self.rules.bank == "blind"
        flow: Tensor = self.parts.net(x, at, self.text, self.memory.begin(call, None if blind else self.text))
        self._stale = self._stale and call.kind == "recache"
        return flow

    def _remember(self, final: Tensor) -> Tensor:
        """Keep the latest latents and pixels; gives the decoded frames [1, T, 3, H, W]."""
        if self.past is None:
            self._first = final[:, :1]
        self.past = final if self.past is None else torch.cat([self.past, final], 1)[:, -self.recipe.policy.window :]
        self.start += self.recipe.policy.chunk if self.rules.advance == "chunk" else final.shape[1]
        pixels = self.parts.codec.decode(final, self.state)
        kept = pixels if self._pixels is None else torch.cat([self._pixels, pixels], 1)
        self._pixels = kept[:, -(2 * TIME_FACTOR + 1) :]
        return pixels

    def _show(self, pixels: Tensor) -> list[Frame]:
        begun, self._shown = self._shown, self._shown + pixels.shape[1]
        return [Frame.from_rgb(picture, (begun + i) / OUTPUT_HZ) for i, picture in enumerate(to_bytes(pixels))]

    def _noise(self, shape: Sequence[int], draw: Draw) -> Tensor:
        return draw(shape).to(self._device, self._dtype)

    @property
    def _device(self) -> torch.device:
        return self.parts.net.patch_embedding.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.parts.net.patch_embedding.weight.dtype
