"""How near everything in the input video is, by Video Depth Anything. Without its weights there is no depth, and it says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.contract import Mode
from scope.frame import Frame
from scope.models.depth import DepthConfig, DepthMemory, VideoDepth, normed, viewed_size
from scope.models.pictures import unit_rgb
from scope.models.yuv import planes_of
from scope.pipelines.device import work_device
from scope.pipelines.processors import DepthOptions, DepthParams
from scope.pipelines.published_net import published_net
from scope.settings import from_environment


class DepthStream:
    """Remembers the last frames, so that depth is steady, and the range of depths, so that grey does not flicker."""

    def __init__(self, net: VideoDepth, shorter_side: int, context: int) -> None:
        self._net, self._shorter_side = net, shorter_side
        self._memory = DepthMemory(context)
        self._range: Tensor | None = None  # farthest and nearest, as shown
        self._size = (0, 0)

    def wants(self, params: DepthParams) -> int:
        return 1

    @torch.inference_mode()
    def step(self, params: DepthParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [self._shown(frame, params) for frame in frames]

    def _shown(self, frame: Frame, params: DepthParams) -> Frame:
        if (frame.height, frame.width) != self._size:
            self.reset()
            self._size = (frame.height, frame.width)
        weight = self._net.pretrained.patch_embed.proj.weight
        seen = normed(unit_rgb(frame.rgb(), weight.device), *viewed_size(*self._size, self._shorter_side))
        near = self._graded(self._net(seen.to(weight.dtype), self._memory).float(), params.depth_steady)
        near = F.interpolate(near, self._size, mode="bilinear", align_corners=True)
        return frame.redrawn(planes_of(1 - near if params.depth_invert else near))

    def _graded(self, depth: Tensor, steady: float) -> Tensor:
        """In 0..1, black the farthest and white the nearest of late."""
        now = torch.stack(depth.aminmax())
        self._range = now if self._range is None else torch.lerp(now, self._range, steady)
        farthest, nearest = self._range
        shown: Tensor = (depth - farthest) / (nearest - farthest).clamp(min=1e-6)
        return shown.clamp_(0, 1)

    def reset(self) -> None:
        self._memory.reset()
        self._range = None


@dataclass(frozen=True, slots=True)
class Depth:
    """Weights, shared by any number of streams."""

    net: VideoDepth
    options: DepthOptions

    def open(self, mode: Mode) -> DepthStream:
        return DepthStream(self.net, self.options.input_size, self.options.context)


def load(options: DepthOptions, progress: Callable[[str], None]) -> Depth:
    """Raises NotFound, saying what to fetch, without the weights."""
    device = work_device()
    dtype = torch.float16 if device.type == "cuda" and not options.fp32 else torch.float32
    home = from_environment().models_dir
    net = published_net("video-depth-anything", lambda tensors: VideoDepth(DepthConfig()), home, device, dtype)
    return Depth(net, options)
