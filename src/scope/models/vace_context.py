"""What VACE is shown: control video, mask, reference image, end frames, as one 96-channel latent (models-stream.md 9.2-9.4).

Shape suffixes: B batch, F latent frames, C channels, H W pixel or latent rows and columns, T pixel frames.
Frames are [B, 3, T, H, W] in [-1, 1], masks [B, 1, T, H, W] in [0, 1] with 1 = make this part new. Encoders take frames and give
latents [B, F, 16, h, w].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from scope.errors import BadInput

Encode = Callable[[Tensor], Tensor]
SIDE, GROUP, LATENT_CHANNELS = 8, 4, 16  # pixels per latent side, frames per latent


@dataclass(frozen=True, slots=True)
class Encoders:
    """stream: continues the stream that keeps the unchanged parts; again: continues the stream of the parts to be made new.

    once: a clip of its own. Scope's Wan VAE uses one stream for both (pass the same function); separate ones are right.
    """

    stream: Encode
    again: Encode
    once: Encode


@dataclass(frozen=True, slots=True)
class Shown:
    """Frames to steer by and where to make them new; `given` marks end frames, whose new part is never streamed."""

    frames_BCTHW: Tensor
    mask_BCTHW: Tensor
    given: bool = False


def fit_image(image_HWC: Tensor, height: int, width: int) -> Tensor:
    """uint8 RGB image to [1, 3, 1, height, width] in [-1, 1]: scaled to cover (bilinear), then cut at the centre."""
    x = (image_HWC.permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    rows, cols = x.shape[-2:]
    if (rows, cols) != (height, width):
        scale = max(height / rows, width / cols)
        x = interpolate(x, size=(int(rows * scale), int(cols * scale)), mode="bilinear", align_corners=False)
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width].unsqueeze(2)


def mask_channels(mask_BCTHW: Tensor) -> Tensor:
    """[B, F, 64, h, w]: each latent pixel's 8x8 mask pixels as channels (8 y + x), nearest frame in time, F = (T + 3) // 4."""
    b, _, t, h, w = mask_BCTHW.shape
    parts = mask_BCTHW.reshape(b, t, h // SIDE, SIDE, w // SIDE, SIDE).permute(0, 3, 5, 1, 2, 4)
    channels = parts.reshape(b, SIDE * SIDE, t, h // SIDE, w // SIDE)
    size = ((t + GROUP - 1) // GROUP, h // SIDE, w // SIDE)
    return interpolate(channels, size=size, mode="nearest-exact").transpose(1, 2)


def frames_context(shown: Shown, encoders: Encoders) -> Tensor:
    """[B, F, 96, h, w] for control video, inpainting or given end frames: unchanged part, new part, mask."""
    new = (shown.mask_BCTHW > 0.5).to(shown.frames_BCTHW)
    inactive = encoders.stream(shown.frames_BCTHW * (1 - new))
    streamed = not shown.given and bool((new == 1).all())
    reactive = (encoders.again if streamed else encoders.once)(shown.frames_BCTHW * new)
    return torch.cat([inactive, reactive, mask_channels(new)], 2)


def reference_context(images: Sequence[Tensor], encoders: Encoders) -> Tensor:
    """[B, R, 96, h, w] for reference images [1, 3, 1, H, W], each encoded as a clip of its own, everything else zero.

    Raises BadInput without images.
    """
    if not images:
        raise BadInput("no reference image")
    latents = torch.cat([encoders.once(image) for image in images], 1)
    return pad(latents, (0, 0, 0, 0, 0, SIDE * SIDE + LATENT_CHANNELS))


def context(shown: Shown | None, references: Sequence[Tensor], encoders: Encoders) -> Tensor:
    """The whole context; references come first in time, and push out the chunk's last frames where the network cuts.

    Raises BadInput if there is neither.
    """
    parts = [frames_context(shown, encoders)] if shown else []
    if references or not parts:
        parts.insert(0, reference_context(references, encoders))
    return torch.cat(parts, 1)


def extension(
    first: Tensor | None, last: Tensor | None, frames: int, *, control: Tensor | None = None, mask: Tensor | None = None
) -> Shown:
    """End frames [1, 3, 1, H, W] the chunk must begin or end with; `control` [1, 3, T, H, W] steers the rest.

    With a mask too, an end frame shows only where the mask is over 0.5, and its group of 4 frames is kept whole. Raises BadInput
    if neither end is given, or both do not fit.
    """
    ends = [(image, part) for image, part in ((first, slice(0, GROUP)), (last, slice(-GROUP, None))) if image is not None]
    if not ends or frames < GROUP * len(ends):
        raise BadInput(f"{len(ends)} given end frames need at least {GROUP * max(1, len(ends))} frames, there are {frames}")
    like = ends[0][0]
    shown = like.new_zeros(1, 3, frames, *like.shape[-2:]) if control is None else control.clone()
    new = like.new_ones(1, 1, frames, *like.shape[-2:]) if mask is None else mask.clone()
    for image, part in ends:
        paste = new[:, :, part] > 0.5
        shown[:, :, part] = torch.where(paste, image, shown[:, :, part])
        new[:, :, part] = 0
    return Shown(shown, new, given=True)
