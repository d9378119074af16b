"""The nets of the processors against numbers recorded elsewhere, and the layout of the published files.

Recorded in float32 on a CPU, weights by `filled.py`: `rife` and `line_art` from transcriptions of the published programs;
`depth.plain` from Depth Anything in transformers 5.24 (the same net without its attention over time); `time` from a transcription
of Video Depth Anything's motion module, as a clip and as a stream that remembers one frame.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scope.errors import BadInput
from scope.models.checkpoint import read
from scope.models.depth import DepthConfig, DepthMemory, VideoDepth, normed, viewed_size
from scope.models.dino import Dino, DinoConfig
from scope.models.ifnet import IFNet, IFNetConfig
from scope.models.line_art import LineArt
from scope.models.over_time import OverTime
from scope.models.weights import fill as pour_in
from scope.models.weights import on_meta
from tests.models.filled import fill, numbers

RECORDED = load_file(Path(__file__).parent / "recorded" / "processors.safetensors")
SMALL_DEPTH = DepthConfig(DinoConfig(48, 4, 3, 5), (0, 1, 2, 3), (32, 32, 64, 96), 32)
SMALL_RIFE = IFNetConfig((12, 8, 8, 4))


def close(made: torch.Tensor, recorded: str) -> None:
    torch.testing.assert_close(made, RECORDED[recorded], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("percent", [50, 25])
@torch.inference_mode()
def test_rife(percent: int) -> None:
    net = IFNet(SMALL_RIFE)
    fill(net, 3, 0.6)
    close(net(numbers(1, 3, 50, 70, seed=1), numbers(1, 3, 50, 70, seed=2), torch.tensor([percent / 100])), f"rife.{percent}")


@torch.inference_mode()
def test_line_art() -> None:
    net = LineArt(4)
    fill(net, 4)
    close(net(numbers(1, 3, 32, 44, seed=3)), "line_art")
    assert net(torch.rand(2, 3, 5, 31)).shape == (2, 1, 5, 31)


@torch.inference_mode()
def test_depth_without_time() -> None:
    net = VideoDepth(SMALL_DEPTH)
    fill(net, 5)
    for module in net.head.motion_modules:
        module.get_submodule("temporal_transformer.proj_out").requires_grad_(False).apply(_zero)
    close(net(numbers(2, 3, 70, 70, seed=4) * 4 - 2, DepthMemory(0))[:, 0], "depth.plain")


def _zero(layer: torch.nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()


@torch.inference_mode()
def test_attention_over_time_as_a_clip_and_as_a_stream() -> None:
    net, x = OverTime(32), numbers(5, 32, 3, 4, seed=5) * 4 - 2
    fill(net, 6)
    close(net(x, [])[0], "time.clip")
    past: list[torch.Tensor] = []
    made = []
    for frame in x.chunk(5):
        one, seen = net(frame, past)
        past = [each[:, -1:] for each in seen]
        made.append(one)
    close(torch.cat(made), "time.one_back")


@torch.inference_mode()
def test_depth_remembers_so_many_frames_and_no_more() -> None:
    net, x = VideoDepth(SMALL_DEPTH), numbers(6, 3, 70, 84, seed=6) * 4 - 2
    fill(net, 5)

    def last(context: int, begin: int) -> torch.Tensor:
        memory = DepthMemory(context)
        made: list[torch.Tensor] = [net(frame, memory) for frame in x[begin:].chunk(6)]
        assert all(part.shape[1] <= context for parts in memory.seen for part in parts)
        return made[-1]

    assert (last(0, 0) == last(0, 5)).all() and last(0, 0).shape == (1, 1, 70, 84)
    assert (last(2, 0) != last(0, 0)).any() and (last(2, 0) != last(2, 4)).any()
    memory = DepthMemory(2)
    first = net(x[:1], memory)
    memory.reset()
    assert (net(x[:1], memory) == first).all()
    assert DepthMemory(99).context == 31


def test_the_net_looks_at_multiples_of_fourteen() -> None:
    assert viewed_size(320, 576, 518) == (504, 910), "slim pictures are looked at in less detail"
    assert viewed_size(480, 640, 518) == (518, 686) and viewed_size(640, 480, 518) == (686, 518)
    assert viewed_size(512, 512, 518) == (518, 518) and viewed_size(512, 512, 240) == (252, 252)
    seen = normed(torch.ones(1, 3, 20, 30), 28, 42)
    assert seen.shape == (1, 3, 28, 42)
    torch.testing.assert_close(seen[0, :, 3, 3], torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))


def test_files_are_as_published(tmp_path: Path) -> None:
    """Names and shapes as their authors have them, in torch's own format; what a net does not know is passed over."""
    net = IFNet(SMALL_RIFE)
    fill(net)
    torch.save(
        {f"module.{name}": tensor for name, tensor in net.state_dict().items()} | {"module.teacher.x": torch.ones(1)},
        tmp_path / "flownet.pkl",
    )
    tensors = read(tmp_path / "flownet.pkl")
    again = on_meta(lambda: IFNet(IFNetConfig.of(tensors)))
    assert pour_in(again, tensors, dtype=torch.float32).unexpected == ("teacher.x",)
    assert all((a == b).all() for a, b in zip(net.parameters(), again.parameters(), strict=True))
    with pytest.raises(BadInput, match=r"4\.22"):
        IFNetConfig.of({"block0.conv0.0.0.weight": torch.ones(1)})


@pytest.mark.parametrize(
    ("make", "megabytes", "names"),
    [
        (lambda: LineArt(), 17.2, {"model0.1.weight", "model1.3.bias", "model2.2.conv_block.5.weight", "model4.1.bias"}),
        (lambda: IFNet(IFNetConfig()), 19.5, {"block3.conv0.1.0.weight", "block0.convblock.7.beta", "encode.cnn3.bias"}),
        (
            lambda: VideoDepth(DepthConfig()),
            116.1,
            {
                "pretrained.blocks.11.ls2.gamma",
                "pretrained.patch_embed.proj.weight",
                "head.resize_layers.3.weight",
                "head.scratch.refinenet4.resConfUnit1.conv2.bias",
                "head.scratch.output_conv2.2.weight",
                "head.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.1.to_out.0.bias",
                "head.motion_modules.3.temporal_transformer.transformer_blocks.0.ff.net.0.proj.weight",
            },
        ),
    ],
    ids=["line art", "rife", "depth"],
)
def test_the_published_sizes(make: object, megabytes: float, names: set[str]) -> None:
    assert callable(make)
    found = dict(on_meta(make).named_parameters())
    assert names <= found.keys()
    assert sum(parameter.numel() for parameter in found.values()) * 4e-6 == pytest.approx(megabytes, abs=0.1)


def cubic(away: float, a: float = -0.75) -> float:
    """The weight of a neighbour at that distance, up to 2."""
    d = abs(away)
    near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
    return near if d <= 1 else far if d < 2 else 0.0


@torch.no_grad()
def test_positions_are_stretched_as_in_training() -> None:
    """Its authors add a tenth of a patch to the grid before they divide by it."""
    net = Dino(DinoConfig(8, 1, 2, 5))
    net.pos_embed[:, 1:] = torch.arange(5.0).repeat_interleave(5)[None, :, None]
    rows = net._positions(12, 7)[0, 1:].reshape(12, 7, 8)[:, 3, 0].tolist()
    for row in range(4, 8):
        at = (row + 0.5) * 5 / 12.1 - 0.5
        assert rows[row] == pytest.approx(sum(cubic(at - trained) * trained for trained in range(5)), abs=1e-5)
