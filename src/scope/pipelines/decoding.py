"""The second half of a chunk: clean latents to frames, which may run beside the next chunk's denoising.

On a CPU that takes another thread, on a GPU a CUDA stream as well. Nothing that denoising needs is touched here, and chunks are
decoded in order whoever asks, so the pictures are the same as without.

Shape suffixes: F latent frames, T pixel frames, H W pixels, h w latent rows and columns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from scope.frame import Frame
from scope.models.codec import Codec, CodecState
from scope.models.device import Sideline
from scope.models.laps import Laps
from scope.models.pictures import i420

T = TypeVar("T")
TIME_FACTOR = 4  # pixel frames per latent frame; the first latent of a stream is one frame
OUTPUT_HZ = 16.0  # what the models were trained at
KEPT = 2 * TIME_FACTOR + 1  # decoded frames that stay: Krea's anchor is the first of so many


class Once(Generic[T]):
    """Work that is done once, by whoever asks first; whoever asks meanwhile waits. What it raises, it raises for everyone."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._lock = threading.Lock()
        self._work: Callable[[], T] | None = work
        self._found: Future[T] = Future()

    def __call__(self) -> T:
        with self._lock:
            if self._work is not None:
                work, self._work = self._work, None
                try:
                    self._found.set_result(work())
                except BaseException as error:  # noqa: BLE001 - raised below, here and for everyone who asks
                    self._found.set_exception(error)
        return self._found.result()


class Decoding:
    """The decoding side of one stream: the codec's state, the frames of late, the count of those shown."""

    def __init__(self, codec: Codec, state: CodecState, device: torch.device, laps: Laps) -> None:
        self._codec, self._state, self._laps = codec, state, laps
        self._side = Sideline(device)
        self._latest: Once[list[Frame]] | None = None
        self._pixels: Tensor | None = None
        self._shown = 0

    def begin(self, latents: Tensor) -> Once[list[Frame]]:
        """Hand over a chunk [1, F, 16, h, w], when it is denoised; its frames are made when asked for, in any thread."""
        self._latest = Once(partial(self._decode, latents, self._side.mark(), self._latest))
        return self._latest

    def settle(self) -> None:
        """Everything that was handed over has been decoded."""
        if self._latest is not None:
            self._latest()

    def cut(self) -> None:
        """What comes is a new shot."""
        self.settle()
        self._state.reset()
        self._latest = self._pixels = None

    @property
    def pixels(self) -> Tensor | None:
        """The latest decoded frames [1, T, 3, H, W], a chunk at least; None at the start of a shot."""
        self.settle()
        return self._pixels

    def anchor(self) -> Tensor:
        """The decoded frame that lies KEPT frames back, as the first latent of a video [1, 1, 16, h, w] (Krea)."""
        pixels = self.pixels
        assert pixels is not None
        return self._codec.encode(pixels[:, -KEPT : 1 - KEPT].transpose(1, 2))

    @torch.inference_mode()
    def _decode(self, latents: Tensor, after: Any, before: Once[list[Frame]] | None) -> list[Frame]:
        if before is not None:
            before()
        with self._side.entered(after):
            with self._laps.lap("decode"):
                made = self._codec.decode(latents, self._state)
            kept = made if self._pixels is None else torch.cat([self._pixels, made], 1)
            self._pixels = kept[:, -max(KEPT, made.shape[1]) :]
            with self._laps.lap("hand over"):
                blocks = self._side.fetch(i420(made)).numpy()
        begun, self._shown = self._shown, self._shown + len(blocks)
        return [Frame.from_i420(block, (begun + i) / OUTPUT_HZ) for i, block in enumerate(blocks)]
