"""How much an input video moves, and how much noise it should therefore get (models-stream.md sections 2.5 and 4.4).

Frames are [1, 3, T, H, W] in [-1, 1]. Still pictures get more noise, moving ones keep more of themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor

STILL = 0.2  # root mean square difference at which motion counts as full


def motion(before: Tensor, after: Tensor) -> float:
    """Largest difference (RMS over channel, row and column) of paired frames, as a share of full motion, 0..1."""
    change = (before - after).square().mean((0, 1, 3, 4)).sqrt().max()
    return float((change / STILL).clamp(0, 1))


def scope_noise_scale(video: Tensor, last: Tensor | None, chunk: int, base: float) -> float:
    """Scope's rule: the last `chunk` frames against those before; `last` is the previous chunk's final frame, None at the start.

    0.9 (0.8 - 0.2 motion) + 0.1 base; `base` is what the user asked for in this call.
    """
    now = video[:, :, -chunk:]
    before = video[:, :, -chunk - 1 : -1] if last is None else torch.cat([last, video[:, :, -chunk:-1]], 2)
    return 0.9 * (0.8 - 0.2 * motion(now, before)) + 0.1 * base


def recursive_noise_scale(video: Tensor, initial: float, previous: float) -> float:
    """The original StreamDiffusionV2's rule over a chunk and the frame before it: it moves a tenth from its previous value."""
    return 0.9 * (initial - 0.1 * motion(video[:, :, 1:], video[:, :, :-1])) + 0.1 * previous
