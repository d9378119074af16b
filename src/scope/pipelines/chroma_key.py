"""A colour as a mask: where the key is, VACE makes the picture anew (`vace_input_masks`); where it is not, the picture stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, radians, sin

import numpy as np

from scope.contract import Mode, Options
from scope.frame import Bytes, Frame
from scope.pipelines.processors import KeyParams

GREY = 12.0  # distance from grey, of at most 112, that makes a colour
NEUTRAL = 128
U_OF = np.array([-0.168736, -0.331264, 0.5])  # BT.601: colour difference of R, G, B
V_OF = np.array([0.5, -0.418688, -0.081312])


class ChromaKey:
    """Its own stream: it remembers nothing."""

    def open(self, mode: Mode) -> ChromaKey:
        return self

    def wants(self, params: KeyParams) -> int:
        return 1

    def step(self, params: KeyParams, frames: Sequence[Frame]) -> Sequence[Frame]:
        return [_marked(frame, params) for frame in frames]

    def reset(self) -> None:
        """There is no past."""


def _marked(frame: Frame, params: KeyParams) -> Frame:
    planes = frame.planes()
    mask = keyed(planes[1], planes[2], params.key_hue, params.key_tolerance)
    mask = 255 - mask if params.key_invert else mask
    if params.key_show:
        grey = np.full(mask.shape, NEUTRAL, np.uint8)
        luma = (mask.repeat(2, 0).repeat(2, 1) // 255) * np.uint8(219) + np.uint8(16)
        return frame.redrawn((luma, grey, grey), mask)
    return frame.redrawn(planes, mask)


def keyed(u: Bytes, v: Bytes, hue_deg: float, tolerance: float) -> Bytes:
    """[H/2, W/2]: 255 where the colour is within the tolerance (0..1: up to 90 degrees) of the hue, 0 elsewhere and in greys."""
    x, y = u.astype(np.float32) - NEUTRAL, v.astype(np.float32) - NEUTRAL
    key_u, key_v = _direction(hue_deg)
    along, aside = x * key_u + y * key_v, np.abs(y * key_u - x * key_v)
    angle = radians(90 * tolerance)
    near = (along > GREY) & (aside * cos(angle) <= along * sin(angle))
    return np.where(near, np.uint8(255), np.uint8(0))


def _direction(hue_deg: float) -> tuple[float, float]:
    """Unit vector of a pure hue in the plane of colour differences."""
    sector = (hue_deg % 360) / 60
    rgb = np.array([min(1.0, max(0.0, 2 - abs((sector - centre + 3) % 6 - 3))) for centre in (0, 2, 4)])
    u, v = float(U_OF @ rgb), float(V_OF @ rgb)
    length = float(np.hypot(u, v))
    return u / length, v / length


def load(options: Options, progress: Callable[[str], None]) -> ChromaKey:
    return ChromaKey()
