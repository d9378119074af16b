"""The one causal diffusion stream. LongLive, StreamDiffusionV2, Krea, Reward-Forcing and MemFlow are rows of `Recipe`.

A chunk: prompts, resets, noise or noisy video, denoising over the memory, remembering (models-stream.md section 2); then decoding
(`decoding.py`), which may run beside the next chunk.
Shape suffixes: B batch, F latent frames, C channels, T pixel frames, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

import torch
from torch import Tensor

from scope.contract import Mode, News
from scope.frame import Frame
from scope.models.cache import Call, Kind, TextMemory
from scope.models.codec import CodecState
from scope.models.device import to_device
from scope.models.flow import Schedule, clean, first_step, mix, renoise
from scope.models.laps import Laps
from scope.models.memory import Memory
from scope.models.motion import motion, scope_noise_scale
from scope.models.pictures import to_video
from scope.models.vace import Control
from scope.pipelines.conditioning import Conditioning, texts_of
from scope.pipelines.decoding import KEPT, TIME_FACTOR, Decoding
from scope.pipelines.family import WanParams
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.rules import Draw, Noises, StreamRules
from scope.pipelines.steering import Steering

CONTEXT = 3  # latents that Krea reads again before each chunk
SWAY = 0.1  # how far the noise controller moves the user's noise scale, either way


class DiffusionStream:
    """One video in progress. Everything that changes is here: memory, codec state, prompts, the latents of late."""

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        mode: Mode,
        noises: Noises,
        rules: StreamRules | None = None,
        clock: Callable[[], float] = monotonic,
        *,
        overlap: bool = False,
    ) -> None:
        """`overlap`: `begin` leaves decoding to whoever asks for the frames; without it they are ready when it returns."""
        self.recipe, self.parts, self.mode, self._noises, self._clock = recipe, parts, mode, noises, clock
        self.overlap = overlap
        self.rules = rules or StreamRules()
        self.conditioning = Conditioning(parts.words, self.rules.prompts)
        self.memory = Memory(recipe.policy, parts.net.room(*parts.latent))
        self.state: CodecState = parts.codec.open(self.rules.codec)
        self._laps = Laps(self._device)
        self.decoding = Decoding(parts.codec, self.state, self._device, self._laps)
        self.steering = (
            Steering(parts.vace, parts.codec, self.state, parts.pixels, parts.images, self.rules) if parts.vace else None
        )
        self.schedule = Schedule(recipe.shift)
        self.text: TextMemory | None = None
        self._steps: tuple[int, ...] | None = None
        self._crossed = False  # a transition was running in the chunk before
        self._last: Tensor | None = None  # last input frame the noise controller saw; a cut of ours is none of the input's
        self._control: Control | None = None
        self._news: list[News] = []
        self.cut()

    def cut(self, *, keep_bank: bool = False) -> None:
        """A hard cut: the coming chunk is the first of a new shot. Prompts stay; MemFlow's bank may."""
        self.memory.reset(keep_bank=keep_bank)
        self._stale = True  # nothing has looked through the memory since the prompt changed
        self.decoding.cut()
        if self.steering:
            self.steering.reset()
        self.start = 0  # latent frames so far
        self.past: Tensor | None = None  # latest clean latents
        self._first: Tensor | None = None

    def reset(self) -> None:
        self.conditioning.finish()
        self._last = None
        self.cut()

    def foresee(self, params: WanParams) -> None:
        """Texts that the next chunk will need are encoded beside this one."""
        self.parts.words.ask(texts_of(params.prompts, params.transition))

    def news(self) -> list[News]:
        told, self._news = [*self._news, *self.conditioning.news()], []
        return told + (self.steering.news() if self.steering else [])

    def timings(self) -> Mapping[str, float]:
        return self._laps.ms()

    def wants(self, params: WanParams) -> int:
        """A chunk of input video; one frame more at the start, which becomes a latent of its own."""
        return TIME_FACTOR * self.recipe.policy.chunk + (self.start == 0) if self.mode == "video" else 0

    def step(self, params: WanParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        """One chunk. Same seed, same frames, whatever came before a reset."""
        return self.begin(params, frames)()

    @torch.inference_mode()
    def begin(self, params: WanParams, frames: Sequence[Frame]) -> Callable[[], Sequence[Frame]]:
        """One chunk up to its clean latents; its frames come of calling what this gives, in any thread."""
        if self.rules.codec.fresh == "until_decode":
            self.decoding.settle()  # there an encode asks whether anything was decoded
        crossed, changed = self._crossed or self.conditioning.crossing, self._listen(params)
        self._take_input(params, frames)
        steps = params.denoising_step_list or (self.recipe.video_steps if self.mode == "video" else self.recipe.text_steps)
        sees = self.mode == "video" or bool(self.steering and self.steering.shown)
        switched = changed and sees and not (crossed or self.conditioning.crossing)
        other_steps = self._steps is not None and steps != self._steps
        scaled = self._scale_loras(params) and self.rules.on_lora == "cuts"
        if params.manage_cache and (switched or other_steps or scaled):
            self.cut(keep_bank=not (other_steps or scaled))
        self._steps, self._crossed = steps, self.conditioning.crossing
        draw = self._noises(self.start)
        with self._laps.lap("input"):
            x, ts = self._begin(frames, params, steps, draw)
            self._control = self._steer(params)
        with self._laps.lap("context"):
            self._prepare(changed=changed)
        with self._laps.lap("denoise"):
            final = self._denoise(x, ts, draw, params.kv_cache_attention_bias)
        with self._laps.lap("remember"):
            if self.recipe.context == "clean":
                self._pass(final, 0.0, Call(self.start, final.shape[1], "clean"))
            self._remember(final)
        rest = self.decoding.begin(final)
        if not self.overlap:
            rest()
        return rest

    def _listen(self, params: WanParams) -> bool:
        """Take in what was said about prompts; True if the embedding changed."""
        said, wish, method = params.model_fields_set, params.transition, params.prompt_interpolation_method
        if wish is not None and not wish.target_prompts:
            wish = None  # a client that sends every field of its struct
        fresh = self.conditioning.current is None
        now_s = self._clock()
        if fresh or ("prompts" in said and wish is None):
            self.conditioning.hear(params.prompts, method, now_s)
        if fresh:
            self.conditioning.settle(wait=True)
        if wish is not None:
            self.conditioning.start(wish, method, params.prompts)
        changed = self.conditioning.step(now_s) or fresh
        if changed:
            self._read()
        return changed

    def _read(self) -> None:
        """Another embedding is in use."""
        assert self.conditioning.current is not None
        self.text, self._stale = self.parts.net.read(self.conditioning.current), True
        if self.steering:
            self.steering.read(self.parts.net.embed_text(self.conditioning.current))

    def _follows(self, params: WanParams) -> bool:
        """Whether the input video steers the picture instead of being painted over."""
        return bool(self.steering and params.vace_enabled and params.vace_use_input_video and self.mode == "video")

    def _take_input(self, params: WanParams, frames: Sequence[Frame]) -> None:
        if self.steering and self._follows(params):
            self.steering.show([frame.rgb() for frame in frames])

    def _steer(self, params: WanParams) -> Control | None:
        if not self.steering or not params.vace_enabled:
            return None
        return self.steering.control(params, self.recipe.policy.chunk, first=self.start == 0)

    def _scale_loras(self, params: WanParams) -> bool:
        """Move the LoRAs that run beside the weights; complain about those that cannot move. True if one did."""
        moved = False
        for lora in params.lora_scales or ():
            problem = self.parts.scale_lora(lora.path, lora.scale)
            moved |= not problem
            if problem:
                self._news.append(News({"type": "warning", "code": "lora", "message": problem}))
        return moved

    def _begin(
        self, frames: Sequence[Frame], params: WanParams, steps: tuple[int, ...], draw: Draw
    ) -> tuple[Tensor, list[float]]:
        """Noise or noisy video [1, F, 16, h, w], and the timesteps to run."""
        chunk = self.recipe.policy.chunk
        if self.mode == "text" or self._follows(params):
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
        anchor = self._first
        if self.start >= 2 * CONTEXT and (pixels := self.decoding.pixels) is not None:
            anchor = self.parts.codec.encode(pixels[:, -KEPT : 1 - KEPT].transpose(1, 2))
        assert anchor is not None
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
        view = self.memory.begin(call, None if blind else self.text)
        flow: Tensor = self.parts.net(x, at, self.text, view, self._control if call.kind in ("first", "step") else None)
        self._stale = self._stale and call.kind == "recache"
        return flow

    def _remember(self, final: Tensor) -> None:
        """Keep the latest clean latents."""
        if self.past is None:
            self._first = final[:, :1]
        self.past = final if self.past is None else torch.cat([self.past, final], 1)[:, -self.recipe.policy.window :]
        self.start += self.recipe.policy.chunk if self.rules.advance == "chunk" else final.shape[1]

    def _noise(self, shape: Sequence[int], draw: Draw) -> Tensor:
        return to_device(draw(shape), self._device, self._dtype)

    @property
    def _device(self) -> torch.device:
        return self.parts.net.patch_embedding.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.parts.net.patch_embedding.weight.dtype
