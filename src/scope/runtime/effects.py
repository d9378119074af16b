"""The fast lane: what is done to every output frame after the chunk, at the moment it leaves.

Neutral by default, and free when neutral. Works on the YUV planes the encoder wants, so nothing is converted.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scope.contract import Params, choice, knob
from scope.frame import Bytes, Frame

BLACK, WHITE, GREY, CENTRE = 16, 235, 126.0, 128.0


class EffectParams(Params):
    """Turned by anyone, read once per output frame."""

    brightness: float = knob(0.0, -1.0, 1.0, "Lighter or darker.", lane="fast", order=90, label="Brightness")
    contrast: float = knob(1.0, 0.0, 2.0, "Flatter or harder around middle grey.", lane="fast", order=91, label="Contrast")
    saturation: float = knob(1.0, 0.0, 2.0, "From grey to vivid.", lane="fast", order=92, label="Saturation")
    mirror: bool = choice(False, "Left and right swapped, as in a mirror.", lane="fast", order=93, label="Mirror")


NEUTRAL = EffectParams()


def apply(frame: Frame, params: EffectParams) -> Frame:
    """The frame as it should be seen; the same object when there is nothing to do."""
    if params == NEUTRAL:
        return frame
    y, u, v = frame.planes()
    if params.brightness != 0.0 or params.contrast != 1.0:
        y = _luma_curve(params.brightness, params.contrast)[y]
    if params.saturation != 1.0:
        curve = _chroma_curve(params.saturation)
        u, v = curve[u], curve[v]
    if params.mirror:
        y, u, v = y[:, ::-1], u[:, ::-1], v[:, ::-1]
    changed = Frame(frame.width, frame.height, frame.time_s, planes=(y, u, v))
    changed.index = frame.index
    return changed


@lru_cache(maxsize=256)
def _luma_curve(brightness: float, contrast: float) -> Bytes:
    """What each of the 256 luma values becomes."""
    levels = (np.arange(256) - GREY) * contrast + GREY + brightness * (WHITE - BLACK) / 2
    curve: Bytes = np.clip(np.rint(levels), BLACK, WHITE).astype(np.uint8)
    return curve


@lru_cache(maxsize=256)
def _chroma_curve(saturation: float) -> Bytes:
    levels = (np.arange(256) - CENTRE) * saturation + CENTRE
    curve: Bytes = np.clip(np.rint(levels), BLACK, 240).astype(np.uint8)
    return curve
