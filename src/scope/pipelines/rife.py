"""Frames between frames, after the main pipeline: by dense flow, or by RIFE's own net where its weights are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from scope.contract import Mode
from scope.frame import Frame
from scope.models.ifnet import IFNet, IFNetConfig
from scope.models.in_between import in_between
from scope.models.pictures import i420, unit_rgb
from scope.models.yuv import planes_of, yuv_of
from scope.pipelines.device import flow_grain, work_device
from scope.pipelines.processors import RifeOptions, RifeParams
from scope.pipelines.published_net import if_wanted, published_net
from scope.settings import from_environment

Between = Callable[[Frame, Frame, Sequence[float]], list[Frame]]  # pictures at those moments (0..1) between two


class InterpolationStream:
    """Remembers the last frame. Each new one is preceded by those between the two, so none is missing between two chunks."""

    def __init__(self, between: Between, factor: int) -> None:
        self._between = between
        self._moments = [number / factor for number in range(1, factor)]
        self._last: Frame | None = None

    def wants(self, params: RifeParams) -> int:
        return 1

    @torch.inference_mode()
    def step(self, params: RifeParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [made for frame in frames for made in self._followed(frame)]

    def _followed(self, frame: Frame) -> list[Frame]:
        last, self._last = self._last, frame.copied()
        if last is None or (last.width, last.height) != (frame.width, frame.height):
            return [frame]
        made = self._between(last, frame, self._moments)
        for at, new in zip(self._moments, made, strict=True):
            new.time_s = last.time_s + at * (frame.time_s - last.time_s)
        return [*made, frame]

    def reset(self) -> None:
        self._last = None


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Shared by any number of streams."""

    between: Between
    factor: int

    @property
    def rate_factor(self) -> float:
        return float(self.factor)

    def open(self, mode: Mode) -> InterpolationStream:
        return InterpolationStream(self.between, self.factor)


def _by_motion(device: torch.device) -> Between:
    def between(first: Frame, second: Frame, moments: Sequence[float]) -> list[Frame]:
        a, b = (yuv_of(frame.planes(), device) for frame in (first, second))
        made = [in_between(a, b, at, flow_grain(first, device)) for at in moments]
        return [Frame(first.width, first.height, 0.0, planes=planes_of(yuv.luma, yuv.chroma)) for yuv in made]

    return between


def by_net(net: IFNet, device: torch.device) -> Between:
    """All moments between two frames at once."""

    def between(first: Frame, second: Frame, moments: Sequence[float]) -> list[Frame]:
        a, b = (unit_rgb(frame.rgb(), device).expand(len(moments), -1, -1, -1) for frame in (first, second))
        made = net(a, b, torch.tensor(moments)) * 2 - 1
        return [Frame.from_i420(block, 0.0) for block in i420(made[None]).cpu().numpy()]

    return between


def load(options: RifeOptions, progress: Callable[[str], None]) -> Interpolation:
    """Raises NotFound, saying what to fetch, when the net was asked for and is not here."""
    device = work_device()
    if options.interpolation == "motion":
        return Interpolation(_by_motion(device), options.frame_factor)
    home = from_environment().models_dir
    net = if_wanted(
        options.interpolation,
        device,
        lambda: published_net("rife", lambda tensors: IFNet(IFNetConfig.of(tensors)), home, device, torch.float32),
    )
    return Interpolation(_by_motion(device) if net is None else by_net(net, device), options.frame_factor)
