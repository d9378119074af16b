"""Video Depth Anything: how near everything in a video is (Chen et al. 2025; the small model is Apache-2.0).

The names of the parts are those of the published file. Shape suffixes: T frames, C channels, H W pixels or rows and columns of
features.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional as F

from scope.models.dino import PATCH, Dino, DinoConfig
from scope.models.over_time import WINDOW, OverTime

RIM = 32  # channels before the last layer
SLIM = 1.777  # the longer side may be so many times the shorter before the picture is looked at in less detail
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


@dataclass(frozen=True, slots=True)
class DepthConfig:
    """The small model. `widths` of the features of four layers, `taps`; `features` after they are brought together."""

    dino: DinoConfig = field(default_factory=DinoConfig)
    taps: tuple[int, int, int, int] = (2, 5, 8, 11)
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    features: int = 64


class DepthMemory:
    """What a stream remembers: for each attention over time, what it saw of the last frames, `context` at most (0 to 31)."""

    def __init__(self, context: int) -> None:
        self.context = min(context, WINDOW - 1)
        self.seen: list[list[Tensor]] = []

    def past(self, module: int) -> list[Tensor]:
        return self.seen[module] if self.seen else []

    def keep(self, seen: list[list[Tensor]]) -> None:
        self.seen = [[part[:, -self.context :] for part in parts] for parts in seen] if self.context else []

    def reset(self) -> None:
        self.seen = []


def _conv(channels: int, made: int, size: int = 3, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, made, size, padding=size // 2, bias=bias)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels), _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.conv1(F.relu(x)))) + x
        return out


class _Fusion(nn.Module):
    """Finer features join coarser ones, which are then enlarged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_conv = _conv(channels, channels, 1)
        self.resConfUnit1, self.resConfUnit2 = _Residual(channels), _Residual(channels)

    def forward(self, x: Tensor, finer: Tensor | None, size: tuple[int, int]) -> Tensor:
        x = x if finer is None else x + self.resConfUnit1(finer)
        large = F.interpolate(self.resConfUnit2(x), size, mode="bilinear", align_corners=True)
        out: Tensor = self.out_conv(large)
        return out


class _Scratch(nn.Module):
    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        f = config.features
        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = (_conv(w, f, bias=False) for w in config.widths)
        self.refinenet1, self.refinenet2, self.refinenet3, self.refinenet4 = (_Fusion(f) for _ in range(4))
        self.output_conv1 = _conv(f, f // 2)
        self.output_conv2 = nn.Sequential(_conv(f // 2, RIM), nn.ReLU(), _conv(RIM, 1, 1), nn.ReLU())


class _Head(nn.Module):
    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        a, b, _, d = config.widths
        self.projects = nn.ModuleList(_conv(config.dino.dim, width, 1) for width in config.widths)
        sizes = nn.ConvTranspose2d(a, a, 4, 4), nn.ConvTranspose2d(b, b, 2, 2), nn.Identity(), nn.Conv2d(d, d, 3, 2, 1)
        self.resize_layers = nn.ModuleList(sizes)
        self.scratch = _Scratch(config)
        over = (*config.widths[2:], config.features, config.features)
        self.motion_modules = nn.ModuleList(OverTime(width) for width in over)

    def forward(self, taps: list[Tensor], rows: int, columns: int, memory: DepthMemory) -> Tensor:
        """[T, 1, 14 rows, 14 columns], no less than 0."""
        maps = [tap.transpose(1, 2).reshape(len(tap), -1, rows, columns) for tap in taps]
        one, two, three, four = (
            resize(project(found)) for found, project, resize in zip(maps, self.projects, self.resize_layers, strict=True)
        )
        seen: list[list[Tensor]] = []

        def steady(x: Tensor) -> Tensor:
            module = len(seen)
            x, looked_at = self.motion_modules[module](x, memory.past(module))
            seen.append(looked_at)
            return x

        s = self.scratch
        three, four = s.layer3_rn(steady(three)), s.layer4_rn(steady(four))
        one, two = s.layer1_rn(one), s.layer2_rn(two)
        x = steady(s.refinenet4(four, None, three.shape[-2:]))
        x = steady(s.refinenet3(x, three, two.shape[-2:]))
        memory.keep(seen)
        x = s.refinenet2(x, two, one.shape[-2:])
        x = s.refinenet1(x, one, (2 * one.shape[-2], 2 * one.shape[-1]))
        size = PATCH * rows, PATCH * columns
        out: Tensor = s.output_conv2(F.interpolate(s.output_conv1(x), size, mode="bilinear", align_corners=True))
        return out


class VideoDepth(nn.Module):
    """Frames in, nearness out; a memory keeps one call in step with the next."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self._taps = config.taps
        self.pretrained = Dino(config.dino)
        self.head = _Head(config)

    def forward(self, x_T3HW: Tensor, memory: DepthMemory) -> Tensor:
        """[T, 1, H, W] without unit, 0 and more: the larger the nearer. Sides multiples of 14, RGB as `normed` gives it.

        No more frames than 32 less the memory's context.
        """
        rows, columns = (side // PATCH for side in x_T3HW.shape[-2:])
        out: Tensor = self.head(self.pretrained(x_T3HW, self._taps), rows, columns, memory)
        return out


def viewed_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Rows and columns of what the net looks at: the shorter side at least `shorter`, both multiples of 14."""
    ratio = max(height, width) / min(height, width)
    if ratio > SLIM + 0.003:  # 16:9 itself is not slim
        shorter = round(int(shorter * SLIM / ratio) / PATCH) * PATCH
    scale = max(shorter / height, shorter / width)
    rows, columns = (max(round(scale * side / PATCH) * PATCH, -(-shorter // PATCH) * PATCH) for side in (height, width))
    return rows, columns


def normed(rgb_T3HW: Tensor, height: int, width: int) -> Tensor:
    """RGB in 0..1 of any size, as the net wants it."""
    x = F.interpolate(rgb_T3HW, (height, width), mode="bicubic", align_corners=False)
    mean, spread = (x.new_tensor(each)[:, None, None] for each in (MEAN, SPREAD))
    return (x - mean) / spread
