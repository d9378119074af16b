"""VACE on one stream: what the next chunk is steered by, as context for the hint network (models-stream.md section 9).

Shape suffixes: B batch, C channels, T pixel frames, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from scope.models.cache import TextMemory
from scope.models.codec import Codec, CodecState
from scope.models.pictures import Picture, to_video
from scope.models.vace import Control, VaceBranch
from scope.models.vace_context import GROUP, Encoders, Shown, context, extension, fit_image
from scope.pipelines.family import WanParams
from scope.pipelines.rules import StreamRules

RECORDED_ZERO_KEYS = 128  # Scope pads the branch's keys with unmasked zeros
Open = Callable[[str], Tensor]  # name of an image -> uint8 [H, W, 3]


class Steering:
    """Reference images, a control video, a mask, first and last frames: whatever was given, made into one context."""

    def __init__(
        self, branch: VaceBranch, codec: Codec, state: CodecState, pixels: tuple[int, int], images: Open, rules: StreamRules
    ) -> None:
        self.branch, self._codec, self._pixels, self._open = branch, codec, pixels, images
        self._state = state
        self._again = codec.open(rules.codec) if rules.vace == "own" else state
        self._lead = rules.vace == "own"  # the first group of a stream is one frame long: end frames respect that
        self._zero_keys = 1 if rules.vace == "own" else RECORDED_ZERO_KEYS
        self._frames: Sequence[Picture] = ()
        self._masks: Sequence[Picture] = ()
        self._text: TextMemory | None = None

    def reset(self) -> None:
        self._again.reset()

    def show(self, frames: Sequence[Picture], masks: Sequence[Picture] = ()) -> None:
        """A control video for the next chunk, and where it is to be made new (white)."""
        self._frames, self._masks = frames, masks

    def read(self, hidden: Tensor) -> None:
        """Another prompt, as the network has embedded it."""
        self._text = self.branch.read(hidden)

    @property
    def shown(self) -> bool:
        return bool(self._frames)

    def control(self, params: WanParams, chunk: int, *, first: bool) -> Control | None:
        """What steers the coming chunk of `chunk` latents; None when nothing was given."""
        shown = self._shown(params, chunk, first=first)
        self._frames = self._masks = ()
        images = [self._image(name) for name in params.vace_ref_images]
        if shown is None and not images:
            return None
        stream, again = (partial(self._codec.encode, state=state) for state in (self._state, self._again))
        found = context(shown, images, Encoders(stream, again, self._codec.encode))
        assert self._text is not None
        return Control(self.branch, self.branch.tokens(found), self._text, params.vace_context_scale, self._zero_keys)

    def _shown(self, params: WanParams, chunk: int, *, first: bool) -> Shown | None:
        count = GROUP * chunk + first
        frames = self._video(self._frames, count) if self._frames else None
        mask = self._mask(params, count)
        first_image, last_image = (
            self._image(name) if name else None for name in (params.first_frame_image, params.last_frame_image)
        )
        if first_image is not None or last_image is not None:
            return extension(first_image, last_image, count if self._lead else GROUP * chunk, control=frames, mask=mask)
        if frames is None:
            return None
        return Shown(frames, frames.new_ones(1, 1, *frames.shape[2:]) if mask is None else mask)

    def _mask(self, params: WanParams, count: int) -> Tensor | None:
        """[1, 1, T, H, W] in 0..1: of this chunk alone, or the same for every frame."""
        if self._masks:
            return self._video(self._masks, count)[:, :1].add(1).div(2)
        if not params.vace_mask_image:
            return None
        return self._image(params.vace_mask_image)[:, :1].add(1).div(2).expand(-1, -1, count, -1, -1)

    def _video(self, pictures: Sequence[Picture], count: int) -> Tensor:
        height, width = self._pixels
        return to_video(pictures, frames=count, height=height, width=width, device=self._device, dtype=self._dtype)

    def _image(self, name: str) -> Tensor:
        return fit_image(self._open(name), *self._pixels).to(self._device, self._dtype)

    @property
    def _device(self) -> torch.device:
        return self.branch.vace_patch_embedding.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.branch.vace_patch_embedding.weight.dtype
