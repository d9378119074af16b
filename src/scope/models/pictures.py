"""Pictures to the range a model works in, and back (models-wan.md sections 10 and 11).

Shape suffixes: B batch, C channels, T frames, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scope.errors import BadInput
from scope.models.device import to_device

Picture = NDArray[np.uint8]  # [H,W,3]
LUMA = (0.299, 0.587, 0.114)  # BT.601


def pick(frames: int, wanted: int) -> list[int]:
    """Which of `frames` frames to use when `wanted` are needed: round(linspace(0, frames-1, wanted)), half to even."""
    if frames < 1:
        raise BadInput("no input frames; a chunk of video needs at least one")
    if frames == wanted:
        return list(range(frames))
    indices: list[int] = torch.linspace(0, frames - 1, wanted).round().long().tolist()
    return indices


def to_video(
    pictures: Sequence[Picture],
    *,
    frames: int,
    height: int,
    width: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """`frames` pictures of that size as [1,3,T,H,W] in [-1,1]; sizes may differ from picture to picture.

    Scaled bilinearly in float32, corners not aligned, no antialiasing, as the original does. Raises BadInput when there is none.
    """
    chosen = [pictures[i] for i in pick(len(pictures), frames)]
    if len({picture.shape for picture in chosen}) == 1:
        x_TCHW = _scaled(np.stack(chosen), height, width, device)
    else:
        x_TCHW = torch.cat([_scaled(picture[None].copy(), height, width, device) for picture in chosen])
    return x_TCHW.div_(255).mul_(2).sub_(1).to(dtype).transpose(0, 1)[None]


def _scaled(pictures: NDArray[np.uint8], height: int, width: int, device: torch.device | str) -> Tensor:
    """[T,h,w,3] bytes to [T,3,H,W] float32, still 0 to 255. Bytes travel to the device; floats are made there."""
    x_TCHW = to_device(torch.from_numpy(pictures), torch.device(device)).permute(0, 3, 1, 2).float()
    if x_TCHW.shape[2:] == (height, width):
        return x_TCHW
    return F.interpolate(x_TCHW, (height, width), mode="bilinear", align_corners=False)


def unit_rgb(picture: Picture, device: torch.device | str = "cpu") -> Tensor:
    """One picture as [1, 3, H, W] float32 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).to(device).permute(2, 0, 1)[None].float().div_(255)


def to_unit(x_BTCHW: Tensor) -> Tensor:
    """Pixels [1,T,3,H,W] in [-1,1] as [T,H,W,3] float32 in [0,1]."""
    if x_BTCHW.shape[0] != 1:
        raise BadInput(f"a batch of {x_BTCHW.shape[0]} videos; give them one at a time")
    return x_BTCHW[0].permute(0, 2, 3, 1).float().div(2).add(0.5).clamp(0, 1)


def to_bytes(x_BTCHW: Tensor) -> NDArray[np.uint8]:
    """Pixels [1,T,3,H,W] in [-1,1] as [T,H,W,3] bytes, rounded to nearest, contiguous, on the CPU."""
    pixels: NDArray[np.uint8] = to_unit(x_BTCHW).mul_(255).round_().to(torch.uint8).contiguous().cpu().numpy()
    return pixels


def i420(x_BTCHW: Tensor) -> Tensor:
    """Pixels [1,T,3,H,W] in [-1,1], even sizes, as bytes [T, H * 3 // 2, W] of I420 (BT.601, limited range), where they are.

    Made where the pixels are: half as many bytes travel, and no codec has to convert. Colour is the mean of each 2x2 square.
    """
    if x_BTCHW.shape[0] != 1:
        raise BadInput(f"a batch of {x_BTCHW.shape[0]} videos; give them one at a time")
    rgb_TCHW = x_BTCHW[0].float().div(2).add(0.5).clamp(0, 1)
    frames, _, height, width = rgb_TCHW.shape
    y_THW = rgb_TCHW.mul(rgb_TCHW.new_tensor(LUMA)[:, None, None]).sum(1)
    small_TCHW = F.avg_pool2d(rgb_TCHW, 2)
    grey_THW = F.avg_pool2d(y_THW[:, None], 2)[:, 0]
    u_THW, v_THW = ((small_TCHW[:, c] - grey_THW) / (2 * (1 - LUMA[c])) for c in (2, 0))
    block = torch.empty(frames, height * 3 // 2 * width, dtype=torch.uint8, device=rgb_TCHW.device)
    luma, chroma = height * width, height * width // 4
    block[:, :luma] = y_THW.mul(219).add(16).round().flatten(1).to(torch.uint8)
    block[:, luma : luma + chroma] = u_THW.mul(224).add(128).round().flatten(1).to(torch.uint8)
    block[:, luma + chroma :] = v_THW.mul(224).add(128).round().flatten(1).to(torch.uint8)
    return block.view(frames, height * 3 // 2, width)
