"""The one causal diffusion stream. LongLive, StreamDiffusionV2, Krea, Reward-Forcing and MemFlow are rows of `Recipe`.

A chunk: prompts, resets, noise or noisy video, denoising over the memory, remembering (models-stream.md section 2); then decoding
(`decoding.py`), which may run beside the next chunk.
Shape suffixes: B batch, F latent frames, C channels, T pixel frames, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic

import torch
from torch import Tensor

from scope.contract import Mode, News
from scope.frame import Frame
from scope.models.codec import CodecState
from scope.models.device import to_device
from scope.models.flow import first_step, mix
from scope.models.laps import Laps
from scope.models.motion import motion, recursive_noise_scale, scope_noise_scale
from scope.models.pictures import to_video
from scope.models.vace import Control
from scope.pipelines.conditioning import Conditioning, texts_of
from scope.pipelines.decoding import TIME_FACTOR, Decoding
from scope.pipelines.denoising import Chunkwise, Denoising, Job, Setup
from scope.pipelines.family import ScheduleName, WanParams
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.rules import Draw, Noises, Seeded, StreamRules
from scope.pipelines.steering import Steering, masks_of
from scope.pipelines.stream_batch import StreamBatch

SWAY = 0.1  # how far the noise controller moves the user's noise scale, either way
SCHEDULES: dict[ScheduleName, Callable[[Setup], Denoising]] = {"sequential": Chunkwise, "batch": StreamBatch}


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
        schedule: ScheduleName = "sequential",
    ) -> None:
        """`overlap`: `begin` leaves decoding to whoever asks for the frames; without it they are ready when it returns.

        Raises BadInput for a schedule that the recipe does not have.
        """
        self.recipe, self.parts, self.mode, self._noises, self._clock = recipe, parts, mode, noises, clock
        self.overlap = overlap
        self.rules = rules or StreamRules()
        self.conditioning = Conditioning(parts.words, self.rules.prompts)
        self.state: CodecState = parts.codec.open(self.rules.codec)
        self._laps = Laps(self._device)
        self.decoding = Decoding(parts.codec, self.state, self._device, self._laps)
        setup = Setup(recipe, parts, self.rules, self.decoding, self._laps, parts.net)
        self.denoising: Denoising = SCHEDULES[schedule](setup)
        self.steering = (
            Steering(parts.vace, parts.codec, self.state, parts.pixels, parts.images, self.rules) if parts.vace else None
        )
        self._steps: tuple[int, ...] | None = None
        self._crossed = False  # a transition was running in the chunk before
        self._last: Tensor | None = None  # last input frame the noise controller saw; a cut of ours is none of the input's
        self._scale: float | None = None  # what the original's controller made of it in the chunk before
        self._news: list[News] = []
        self.cut()

    def cut(self, *, keep_bank: bool = False) -> None:
        """A hard cut: the coming chunk is the first of a new shot. Prompts stay; MemFlow's bank may."""
        self.denoising.cut(keep_bank=keep_bank)
        self.decoding.cut()
        if self.steering:
            self.steering.reset()
        self.start = 0  # latent frames so far

    def reset(self) -> None:
        self.conditioning.finish()
        self._last = self._scale = None
        self.cut()

    def foresee(self, params: WanParams) -> None:
        """Texts that the next chunk will need are encoded beside this one."""
        self.parts.words.ask(texts_of(params.prompts, params.transition))

    def news(self) -> list[News]:
        told, self._news = [*self._news, *self.conditioning.news()], []
        return told + (self.steering.news() if self.steering else [])

    def timings(self) -> Mapping[str, float]:
        return self._laps.ms()

    @property
    def past(self) -> Tensor | None:
        """The latest clean latents [1, F, 16, h, w]; None at the start of a shot."""
        return self.denoising.past

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
        self._sow(params.base_seed)
        crossed, changed = self._crossed or self.conditioning.crossing, self._listen(params)
        self._take_input(params, frames)
        steps = params.denoising_step_list or (self.recipe.video_steps if self.mode == "video" else self.recipe.text_steps)
        sees = self.mode == "video" or bool(self.steering and self.steering.shown)
        switched = changed and sees and not (crossed or self.conditioning.crossing)
        other_steps = self._steps is not None and steps != self._steps
        scaled = self._scale_loras(params) and self.rules.on_lora == "cuts"
        if not self.denoising.takes(len(steps)) or (params.manage_cache and (switched or other_steps or scaled)):
            self.cut(keep_bank=not (other_steps or scaled))
        self._steps, self._crossed = steps, self.conditioning.crossing
        with self._laps.lap("input"):
            job = self._job(params, frames, steps, changed=changed)
        final = self.denoising.run(job)
        self.start += self.recipe.policy.chunk if self.rules.advance == "chunk" else job.x.shape[1]
        if final is None:
            return tuple
        rest = self.decoding.begin(final)
        if not self.overlap:
            rest()
        return rest

    def _sow(self, seed: int | None) -> None:
        """Another seed is another video: it begins with a cut."""
        if seed is not None and self._noises != Seeded(seed):
            self._noises = Seeded(seed)
            self.reset()

    def _job(self, params: WanParams, frames: Sequence[Frame], steps: tuple[int, ...], *, changed: bool) -> Job:
        """What the coming chunk begins with."""
        draw = self._noises(self.start)
        x, ts = self._begin(frames, params, steps, draw)
        control = self._steer(params)
        return Job(x, ts, self.start, partial(self._noise, draw=draw), control, params.kv_cache_attention_bias, changed)

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
        self.denoising.read(self.parts.net.read(self.conditioning.current))
        if self.steering:
            self.steering.read(self.parts.net.embed_text(self.conditioning.current))

    def _follows(self, params: WanParams) -> bool:
        """Whether the input video steers the picture instead of being painted over."""
        return bool(self.steering and params.vace_enabled and params.vace_use_input_video and self.mode == "video")

    def _take_input(self, params: WanParams, frames: Sequence[Frame]) -> None:
        if self.steering and self._follows(params):
            self.steering.show([frame.rgb() for frame in frames], masks_of(frames))

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
    ) -> tuple[Tensor, tuple[float, ...]]:
        """Noise or noisy video [1, F, 16, h, w], and the timesteps to run."""
        chunk = self.recipe.policy.chunk
        if self.mode == "text" or self._follows(params):
            count = self.recipe.first_chunk or chunk if self.start == 0 else chunk
            return self._noise((1, count, 16, *self.parts.latent), draw), tuple(map(float, steps))
        wanted = TIME_FACTOR * chunk + (self.start == 0)
        pictures = [frame.rgb() for frame in frames]
        height, width = self.parts.pixels
        video = to_video(pictures, frames=wanted, height=height, width=width, device=self._device, dtype=self._dtype)
        scale = self._noise_scale(video, params)
        encoded = self.parts.codec.encode(video, self.state)
        first = first_step(scale)
        ratio = first / steps[0] if self.rules.later_steps == "scaled" else 1.0
        later = (max(1.0, step * ratio) for step in steps[1:])
        return mix(self._noise(encoded.shape, draw), encoded, scale), (float(max(1, first)), *later)

    def _noise_scale(self, video: Tensor, params: WanParams) -> float:
        """What the controller makes of the user's scale; moving pictures keep more of themselves."""
        base, chunk = params.noise_scale, self.recipe.policy.chunk
        if not params.noise_controller:
            return base
        last, self._last = self._last, video[:, :, -1:]
        if self.rules.noise == "recorded":
            return scope_noise_scale(video, last, chunk, base)
        if self.rules.noise == "recursive":
            seen = None if last is None else torch.cat([last, video], 2)
            self._scale = base if seen is None or self._scale is None else recursive_noise_scale(seen, base, self._scale)
            return self._scale
        before = video[:, :, -chunk - 1 : -1] if last is None else torch.cat([last, video[:, :, -chunk:-1]], 2)
        moved = motion(video[:, :, -chunk:], before)
        return min(1.0, max(0.0, base + SWAY * (1 - 2 * moved)))

    def _noise(self, shape: Sequence[int], draw: Draw) -> Tensor:
        return to_device(draw(shape), self._device, self._dtype)

    @property
    def _device(self) -> torch.device:
        return self.parts.net.patch_embedding.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.parts.net.patch_embedding.weight.dtype
