"""Processors with their published weights, here random ones in files of the published layout; and without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scope.errors import BadInput, NotFound
from scope.frame import Frame
from scope.models.depth import DepthConfig, VideoDepth
from scope.models.dino import DinoConfig
from scope.models.ifnet import IFNet, IFNetConfig
from scope.models.line_art import LineArt
from scope.pipelines import rife, scribble, video_depth
from scope.pipelines.processors import DepthOptions, DepthParams, RifeOptions, RifeParams, ScribbleOptions, ScribbleParams
from scope.pipelines.published_net import if_wanted
from scope.pipelines.video_depth import DepthStream
from scope.published import published
from tests.models.filled import fill
from tests.pipelines.test_processors import moving, quiet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))
    monkeypatch.delenv("DAYDREAM_SCOPE_MODELS_DIR", raising=False)
    return tmp_path / "models"


def publish(name: str, net: torch.nn.Module, models: Path) -> None:
    path = published(name).under(models)
    path.parent.mkdir(parents=True)
    torch.save(net.state_dict(), path)


def test_scribble_by_the_net(models: Path) -> None:
    net = LineArt()
    fill(net, 2)
    publish("scribble", net, models)
    by_net, by_edges = (scribble.load(ScribbleOptions(drawing=drawing), quiet) for drawing in ("net", "edges"))
    source = moving(0)
    drawn, edges = (found.step(ScribbleParams(), [source])[0] for found in (by_net, by_edges))
    with torch.inference_mode():
        wanted = net(torch.from_numpy(source.rgb().copy()).permute(2, 0, 1)[None] / 255)[0, 0]
    assert np.abs(drawn.planes()[0] - (wanted * 219 + 16).numpy()).max() < 1.5
    assert (drawn.planes()[0] != edges.planes()[0]).mean() > 0.5
    wider = by_net.step(ScribbleParams(line_width=4.0), [source])[0]
    assert wider.planes()[0].mean() < drawn.planes()[0].mean(), "more ink"


def test_frames_between_by_the_net(models: Path) -> None:
    net = IFNet(IFNetConfig((16, 8, 8, 4)))
    fill(net, 2)
    publish("rife", net, models)
    running = rife.load(RifeOptions(interpolation="net", frame_factor=3), quiet).open("video")
    first, second = moving(0), moving(1)
    running.step(RifeParams(), [first])
    made = running.step(RifeParams(), [second])
    assert [frame.time_s for frame in made] == pytest.approx([1 / 90, 2 / 90, 3 / 90]) and made[2] is second
    a, b = (torch.from_numpy(frame.rgb().copy()).permute(2, 0, 1)[None] / 255 for frame in (first, second))
    with torch.inference_mode():
        wanted = net(a, b, torch.tensor([2 / 3]))[0].permute(1, 2, 0)
    assert np.abs(made[1].rgb() / 255 - wanted.clamp(0, 1).numpy()).mean() < 0.02
    assert (made[0].rgb() != made[1].rgb()).any()


def test_depth_from_the_published_file(models: Path) -> None:
    net = VideoDepth(DepthConfig())
    fill(net, 2)
    publish("depth-small", net, models)
    running = video_depth.load(DepthOptions(input_size=70), quiet).open("video")
    (made,) = running.step(DepthParams(), [moving(0)])
    assert made.planes()[0].min() == 16 and made.planes()[0].max() >= 234 and (made.planes()[1] == 128).all()


@pytest.fixture(scope="module")
def small_depth() -> VideoDepth:
    net = VideoDepth(DepthConfig(DinoConfig(48, 4, 3, 5), (0, 1, 2, 3), (32, 32, 64, 96), 32))
    fill(net, 5)
    return net.requires_grad_(False)


def test_depth_is_steady_and_can_be_turned_around(small_depth: VideoDepth) -> None:
    def last(context: int, steady: float, frames: int = 4, *, invert: bool = False) -> np.ndarray:
        running = DepthStream(small_depth, 70, context)
        params = DepthParams(depth_steady=steady, depth_invert=invert)
        made = [running.step(params, [moving(number, 9.0)])[0] for number in range(4 - frames, 4)]
        return made[-1].planes()[0].astype(int)

    assert (last(0, 0.0) == last(0, 0.0, 1)).all() and last(0, 0.0).min() == 16
    assert (last(2, 0.0) != last(0, 0.0)).any(), "the past is looked at"
    assert (last(0, 0.9) != last(0, 0.0)).any(), "the range follows slowly"
    assert (np.abs(last(0, 0.0, invert=True) + last(0, 0.0) - 251) <= 1).all()


def test_depth_begins_anew_at_a_reset_and_at_another_size(small_depth: VideoDepth) -> None:
    def first(frame: Frame) -> np.ndarray:
        return DepthStream(small_depth, 70, 2).step(DepthParams(), [frame])[0].planes()[0]

    running = DepthStream(small_depth, 70, 2)
    wide = Frame.from_rgb(np.random.default_rng(0).integers(0, 255, (48, 96, 3), np.uint8), 0.0)
    for frame in (moving(0), wide):
        assert (running.step(DepthParams(), [frame])[0].planes()[0] == first(frame)).all()
    running.step(DepthParams(), [wide])
    running.reset()
    assert (running.step(DepthParams(), [wide])[0].planes()[0] == first(wide)).all()


def test_a_net_that_was_asked_for_and_is_not_here_is_named() -> None:
    with pytest.raises(NotFound, match=r"netG_A_latest\.pth .*: scope models download scribble"):
        scribble.load(ScribbleOptions(drawing="net"), quiet)
    with pytest.raises(NotFound, match=r"flownet\.pkl .*: scope models download rife"):
        rife.load(RifeOptions(interpolation="net"), quiet)


def test_a_file_of_something_else_is_refused(models: Path) -> None:
    publish("scribble", LineArt(8), models)
    with pytest.raises(BadInput, match="netG_A_latest.pth does not fit"):
        scribble.load(ScribbleOptions(drawing="net"), quiet)


def test_by_itself_the_net_comes_on_a_gpu_only_and_may_be_missing() -> None:
    net = torch.nn.Identity()
    gpu = torch.device("cuda")

    def missing() -> torch.nn.Identity:
        raise NotFound("no weights")

    assert if_wanted("auto", CPU, lambda: net) is None and if_wanted("auto", gpu, lambda: net) is net
    assert if_wanted("auto", gpu, missing) is None and if_wanted("net", CPU, lambda: net) is net
    with pytest.raises(NotFound):
        if_wanted("net", gpu, missing)
