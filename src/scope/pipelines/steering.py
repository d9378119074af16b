"""VACE on one stream: what the next chunk is steered by, as context for the hint network (models-stream.md section 9).

Shape suffixes: B batch, C channels, T pixel frames, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from scope.contract import News
from scope.errors import BadInput, NotFound
from scope.frame import Frame
from scope.models.cache import TextMemory
from scope.models.codec import Codec, CodecState, Rules
from scope.models.pictures import Picture, to_video
from scope.models.vace import Control, VaceBranch
from scope.models.vace_context import GROUP, Encoders, Shown, context, extension, fit_image
from scope.pipelines.family import WanParams
from scope.pipelines.rules import StreamRules

RECORDED_ZERO_KEYS = 128  # Scope pads the branch's keys with unmasked zeros
WHOLE = Rules(tail="original")  # a chunk's frames make a chunk's latents, whichever codec: nothing is held back
Open = Callable[[str], Tensor]  # name of an image -> uint8 [H, W, 3]


def masks_of(frames: Sequence[Frame]) -> list[Picture]:
    """What a stage before this one has marked, as pictures [H, W, 3]; nothing when no frame is marked.

    Among marked frames, one without a mark is made new as a whole.
    """
    if all(frame.mask is None for frame in frames):
        return []
    marks = [np.full((1, 1), 255, np.uint8) if frame.mask is None else frame.mask for frame in frames]
    return [np.repeat(mark[..., None], 3, 2) for mark in marks]


class Steering:
    """Reference images, a control video, a mask, first and last frames: whatever was given, made into one context."""

    def __init__(
        self, branch: VaceBranch, codec: Codec, state: CodecState, pixels: tuple[int, int], images: Open, rules: StreamRules
    ) -> None:
        self.branch, self._codec, self._pixels, self._open = branch, codec, pixels, images
        own = rules.vace == "own"
        self._kept, self._new = (codec.open(WHOLE) if own else state for _ in range(2))  # of the unchanged and the new parts
        self._lead = own  # the first latent of a stream stands for one frame: end frames respect that
        self._zero_keys = 1 if own else RECORDED_ZERO_KEYS
        self._frames: Sequence[Picture] = ()
        self._masks: Sequence[Picture] = ()
        self._text: TextMemory | None = None
        self._bad: set[str] = set()  # complaints made, so that each is made once
        self._news: list[News] = []

    def reset(self) -> None:
        for state in (self._kept, self._new):
            state.reset()

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
        try:
            shown = self._shown(params, chunk, first=first)
        except BadInput as error:  # end frames that do not fit a chunk
            self._complain(str(error))
            shown = None
        self._frames = self._masks = ()
        images = [image for name in params.vace_ref_images if (image := self._image(name)) is not None]
        if shown is None and not images:
            return None
        kept, new = (partial(self._codec.encode, state=state) for state in (self._kept, self._new))
        found = context(shown, images, Encoders(kept, new, self._codec.encode))
        assert self._text is not None
        return Control(self.branch, self.branch.tokens(found), self._text, params.vace_context_scale, self._zero_keys)

    def _shown(self, params: WanParams, chunk: int, *, first: bool) -> Shown | None:
        count = GROUP * chunk + first
        frames = self._video(self._frames, count) if self._frames else None
        mask = self._mask(params, count)
        first_image, last_image = self._image(params.first_frame_image), self._image(params.last_frame_image)
        if first_image is not None or last_image is not None:
            return extension(first_image, last_image, count if self._lead else GROUP * chunk, control=frames, mask=mask)
        if frames is None:
            return None
        return Shown(frames, frames.new_ones(1, 1, *frames.shape[2:]) if mask is None else mask)

    def _mask(self, params: WanParams, count: int) -> Tensor | None:
        """[1, 1, T, H, W] in 0..1: of this chunk alone, or the same for every frame."""
        if self._masks:
            return self._video(self._masks, count)[:, :1].add(1).div(2)
        image = self._image(params.vace_mask_image)
        return None if image is None else image[:, :1].add(1).div(2).expand(-1, -1, count, -1, -1)

    def _video(self, pictures: Sequence[Picture], count: int) -> Tensor:
        height, width = self._pixels
        return to_video(pictures, frames=count, height=height, width=width, device=self._device, dtype=self._dtype)

    def _image(self, name: str | None) -> Tensor | None:
        """[1, 3, 1, H, W]; one that is not to be had is told of and left out: it must not stop the picture."""
        if not name:
            return None
        try:
            return fit_image(self._open(name), *self._pixels).to(self._device, self._dtype)
        except (NotFound, BadInput) as error:
            self._complain(str(error))
            return None

    def _complain(self, text: str) -> None:
        if text not in self._bad:
            self._bad.add(text)
            self._news.append(News({"type": "warning", "code": "steering", "message": text}))

    def news(self) -> list[News]:
        told, self._news = self._news, []
        return told

    @property
    def _device(self) -> torch.device:
        return self.branch.vace_patch_embedding.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.branch.vace_patch_embedding.weight.dtype
