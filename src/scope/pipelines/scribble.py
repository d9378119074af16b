"""Outlines of the input video: black lines on white, as VACE's scribble control was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scope.contract import Mode
from scope.frame import Frame
from scope.models.lines import draw_lines
from scope.models.yuv import luma_of, planes_of
from scope.pipelines.device import work_device
from scope.pipelines.processors import ScribbleOptions, ScribbleParams

Draw = Callable[[Frame, ScribbleParams], Tensor]  # [1, 1, H, W] in 0..1, 1 where there is a line


@dataclass(frozen=True, slots=True)
class Scribble:
    """Its own stream: it remembers nothing."""

    draw: Draw

    def open(self, mode: Mode) -> Scribble:
        return self

    def wants(self, params: ScribbleParams) -> int:
        return 1

    @torch.inference_mode()
    def step(self, params: ScribbleParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [self._drawn(frame, params) for frame in frames]

    def _drawn(self, frame: Frame, params: ScribbleParams) -> Frame:
        lines = self.draw(frame, params)
        planes = planes_of(lines if params.line_invert else 1 - lines)
        return frame.redrawn(planes)

    def reset(self) -> None:
        """There is no past."""


def _edges(device: torch.device) -> Draw:
    def draw(frame: Frame, params: ScribbleParams) -> Tensor:
        return draw_lines(luma_of(frame.planes()[0], device), params.line_detail, params.line_width)

    return draw


def load(options: ScribbleOptions, progress: Callable[[str], None]) -> Scribble:
    return Scribble(_edges(work_device()))
