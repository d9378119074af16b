"""Outlines of the input video: black lines on white, as VACE's scribble control was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scope.contract import Mode
from scope.frame import Frame
from scope.models.line_art import LineArt
from scope.models.lines import draw_lines, widened
from scope.models.pictures import unit_rgb
from scope.models.yuv import luma_of, planes_of
from scope.pipelines.device import work_device
from scope.pipelines.processors import USUAL_DETAIL, ScribbleOptions, ScribbleParams
from scope.pipelines.published_net import if_wanted, published_net
from scope.settings import from_environment

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


def by_net(net: LineArt, device: torch.device) -> Draw:
    """Lines as the net draws them; more detail makes the faint ones darker."""
    dtype = next(net.parameters()).dtype

    def draw(frame: Frame, params: ScribbleParams) -> Tensor:
        lines: Tensor = 1 - net(unit_rgb(frame.rgb(), device).to(dtype)).float()
        lines = lines.mul_(0.5 + params.line_detail / USUAL_DETAIL / 2).clamp_(0, 1)
        return lines if params.line_width < 2 else widened(lines, params.line_width)

    return draw


def load(options: ScribbleOptions, progress: Callable[[str], None]) -> Scribble:
    """Raises NotFound, saying what to fetch, when the net was asked for and is not here."""
    device = work_device()
    if options.drawing == "edges":
        return Scribble(_edges(device))
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    home = from_environment().models_dir
    net = if_wanted(options.drawing, device, lambda: published_net("scribble", lambda _: LineArt(), home, device, dtype))
    return Scribble(_edges(device) if net is None else by_net(net, device))
