"""What a processor costs per input frame: `python -m bench.processors [--size 576x320] [--repeats 20] [--json FILE]`.

The nets have random weights, so no download. `cpu_ms` is the processor's own time, whatever else the machine does; `wall_ms` the
median on the clock. On a GPU both contain the way there and back.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from bench.table import Figures, record, show
from scope.contract import Options, Params
from scope.frame import Frame
from scope.models.depth import DepthConfig, VideoDepth
from scope.models.ifnet import IFNet, IFNetConfig
from scope.models.line_art import LineArt
from scope.pipelines import chroma_key, gray, optical_flow, rife, scribble
from scope.pipelines.device import work_device
from scope.pipelines.processors import DepthParams as Depth
from scope.pipelines.processors import FlowParams, KeyParams, RifeOptions, RifeParams, ScribbleOptions, ScribbleParams
from scope.pipelines.video_depth import DepthStream

Net = TypeVar("Net", bound=nn.Module)
Row = tuple[Any, Params, int]  # a stream, its parameters, how many frames to give it
FEW = 3  # frames through a net on a CPU


def scene(width: int, height: int, number: int) -> Frame:
    """Something soft that drifts, with a hard edge or two."""
    x, y = np.meshgrid(np.arange(width) - 3.0 * number, np.arange(height) + 1.0 * number)
    scales = (17, 23, 60), (31, 13, 90), (11, 41, 45)
    waves = [np.sin(x / a) * np.cos(y / b) + ((x // c + y // c) % 2) * 0.4 for a, b, c in scales]
    return Frame.from_rgb((np.stack(waves, 2) * 60 + 110).clip(0, 255).astype(np.uint8), number / 30)


@torch.no_grad()
def untrained(net: Net, device: torch.device, dtype: torch.dtype = torch.float32) -> Net:
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=(1 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else 0.02)
    return net.to(device, dtype).eval().requires_grad_(False)


def quiet(text: str) -> None:
    """Nobody listens."""


def rows(device: torch.device, repeats: int) -> dict[str, Row]:
    gpu = device.type == "cuda"
    few, half = repeats if gpu else FEW, torch.float16 if gpu else torch.float32
    artist = scribble.Scribble(scribble.by_net(untrained(LineArt(), device, half), device))
    between = rife.Interpolation(rife.by_net(untrained(IFNet(IFNetConfig()), device), device), 2)
    depth = untrained(VideoDepth(DepthConfig()), device, half)
    return {
        "gray": (gray.load(Options(), quiet), gray.GrayParams(), repeats),
        "chroma-key": (chroma_key.load(Options(), quiet), KeyParams(), repeats),
        "scribble, edges": (scribble.load(ScribbleOptions(drawing="edges"), quiet), ScribbleParams(), repeats),
        "scribble, net": (artist, ScribbleParams(), few),
        "optical-flow": (optical_flow.load(Options(), quiet).open("video"), FlowParams(), repeats),
        "rife, motion": (rife.load(RifeOptions(interpolation="motion"), quiet).open("video"), RifeParams(), repeats),
        "rife, net": (between.open("video"), RifeParams(), few),
        "video-depth-anything, 518": (DepthStream(depth, 518, 8), Depth(), few),
        "video-depth-anything, 252": (DepthStream(depth, 252, 8), Depth(), few),
    }


def cost(row: Row, width: int, height: int) -> Figures:
    """Per frame, after two to warm up."""
    stream, params, repeats = row
    wall_ms, cpu_ms = [], []
    for number in range(repeats + 2):
        frame = scene(width, height, number)
        frame.planes()
        began_s, cpu_s = perf_counter(), process_time()
        made = stream.step(params, [frame])
        made[-1].i420()
        wall_ms.append((perf_counter() - began_s) * 1000)
        cpu_ms.append((process_time() - cpu_s) * 1000)
    return {"wall_ms": median(wall_ms[2:]), "cpu_ms": median(cpu_ms[2:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="576x320")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    device = work_device()
    measured: dict[str, Figures] = {name: cost(row, width, height) for name, row in rows(device, given.repeats).items()}
    show(f"{given.size} {device.type}", measured)
    if given.json:
        threads = torch.get_num_threads()
        record(given.json, {"size": given.size, "device": device.type, "threads": threads, "rows": measured})


if __name__ == "__main__":
    main()
