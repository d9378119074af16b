"""How the input video moves, as colour. The flow is our own and needs no weights; RAFT's may come as a plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scope.contract import Mode, Options
from scope.frame import Frame, Planes, split_i420
from scope.models.dense_flow import dense_flow, resized
from scope.models.flow_wheel import coloured
from scope.models.pictures import i420
from scope.models.yuv import luma_of
from scope.pipelines.device import flow_grain, work_device
from scope.pipelines.processors import FlowParams

LEAST_REACH = 2.0  # pixels per frame: what trembles less is shown pale
FASTEST = 0.99  # share of the picture that is no faster than what gets full colour
FORGETTING = 0.05  # how far the reach sinks towards a calmer picture, per frame; to a livelier one it rises at once


class FlowStream:
    """Remembers the picture before, and how fast things have moved of late."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: Tensor | None = None
        self._reach = LEAST_REACH

    def wants(self, params: FlowParams) -> int:
        return 1

    @torch.inference_mode()
    def step(self, params: FlowParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [self._shown(frame, params) for frame in frames]

    def _shown(self, frame: Frame, params: FlowParams) -> Frame:
        luma = F.avg_pool2d(luma_of(frame.planes()[0], self._device), flow_grain(frame, self._device), ceil_mode=True)
        before, self._before = self._before, luma
        if before is None or before.shape != luma.shape:
            before = luma
        flow = resized(dense_flow(before, luma), frame.height // 2, frame.width // 2) * 2
        half = coloured(flow, params.flow_reach or self._measured(flow)) * 2 - 1
        return frame.redrawn(_planes(half))

    def _measured(self, flow: Tensor) -> float:
        speed = flow[:, :, ::4, ::4].square().sum(1).sqrt_()
        now = max(LEAST_REACH, float(speed.flatten().quantile(FASTEST)))
        self._reach = max(now, self._reach + FORGETTING * (now - self._reach))
        return self._reach

    def reset(self) -> None:
        self._before, self._reach = None, LEAST_REACH


def _planes(half: Tensor) -> Planes:
    """Of a picture [1, 3, h, w] of half the size in -1..1: its colours are what chroma has room for, its luma is enlarged."""
    yuv = split_i420(i420(F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)[:, None])[0].cpu().numpy())
    return yuv


@dataclass(frozen=True, slots=True)
class OpticalFlow:
    """No weights: every stream is its own."""

    device: torch.device

    def open(self, mode: Mode) -> FlowStream:
        return FlowStream(self.device)


def load(options: Options, progress: Callable[[str], None]) -> OpticalFlow:
    return OpticalFlow(work_device())
