"""From ink to light: palettes, time of day, and styles.

Shape suffixes: T frames, H rows, W columns, C the three colours (last).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from training.scenes.field import Ink, smooth, together

STEPS = 1024  # entries of a ramp

# name: first ramp (dark to light), second ramp, accent
PALETTES: dict[str, tuple[str, str, str]] = {
    "blue": ("020618 0b2a6f 1f66d0 6fb4ff eaf6ff", "04081f 14207a 3550e0 8fa2ff f0f2ff", "8cc8ff"),
    "teal": ("01100f 04474a 0f9c98 63e0d2 ecfffb", "021318 065a72 12a9c8 78e2f4 effdff", "7ffff0"),
    "green": ("020d05 0b4420 25903d 8fdb6c f4ffe2", "02100c 0a4c3c 1fa074 86e3b0 effff4", "a8ff8c"),
    "red": ("100203 5a0610 c01a1f ff7a62 fff0e6", "140306 6e0a2c d42244 ff8c96 fff0f0", "ff7a5c"),
    "orange": ("120501 5e2206 d9660f ffb14d fff3d6", "160602 7a2c08 ef8420 ffc878 fff6e2", "ffb056"),
    "gold": ("110b02 5a3f06 c79414 ffdc6a fffae0", "140c03 6e4c10 e0ae2a ffe792 fffcec", "ffe38a"),
    "purple": ("0a0316 37106e 7b35c8 c79bff f7efff", "0d0420 4a1a8c 9a4fe4 d8b4ff faf2ff", "d0a2ff"),
    "pink": ("140310 6a0c4c d72c8c ff8cc4 fff0f8", "180418 7c127c e846b4 ffa4dc fff2fc", "ff9ad8"),
    "white": ("10161d 52616f 9fb2c2 dbe7ef ffffff", "141a22 5f6f80 b0c2d2 e6f0f6 ffffff", "eaf6ff"),
    "mono": ("040404 333333 7f7f7f c8c8c8 fbfbfb", "060606 3d3d3d 8c8c8c d2d2d2 ffffff", "ffffff"),
    "sunset": ("140a2e 5a1e6e c43c6a ff8a4a ffe6b0", "1e0c34 7c2a66 e85a4c ffb054 fff0c4", "ffc27a"),
    "rainbow": ("12063a 1f5ee0 1fc27a ffd83c fff4d0", "2a0640 d0268c ff5a3c ffb43c fff0c8", "fff0b0"),
    "cyber": ("080318 35107a c81ea8 ff6ad0 ffe8fa", "04061e 0a3a8c 0fa6dc 5ceaff e8fdff", "7af2ff"),
    "earth": ("0f0804 48301c 94693f cfae84 f6ead6", "120a06 553822 a4764c dabd96 f8efdf", "e8c89a"),
}
TIMES = {  # exposure, contrast round the middle, tint at the top, tint at the bottom
    "none": (1.0, 1.0, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "night": (0.52, 1.05, (0.82, 0.90, 1.12), (0.80, 0.86, 1.05)),
    "dawn": (1.04, 0.90, (0.98, 0.96, 1.08), (1.14, 1.00, 0.94)),
    "day": (1.22, 1.0, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "dusk": (0.80, 1.08, (0.88, 0.86, 1.08), (1.20, 0.94, 0.80)),
}


@dataclass(frozen=True, slots=True)
class Ramps:
    """A palette ready to paint with: two tables [STEPS, C] and the accent [C]; mixing two is mixing these."""

    first: Tensor
    second: Tensor
    accent: Tensor

    def mixed(self, other: Ramps, share: float) -> Ramps:
        mine, theirs = (self.first, self.second, self.accent), (other.first, other.second, other.accent)
        return Ramps(*(torch.lerp(a, b, share) for a, b in zip(mine, theirs, strict=True)))


def _rgb(code: str) -> list[float]:
    return [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]


@cache
def ramps(palette: str) -> Ramps:
    """The palette called so."""
    first, second, accent = PALETTES[palette]
    tables = []
    for stops in (first, second):
        points = torch.tensor([_rgb(code) for code in stops.split()]).T[None]
        tables.append(F.interpolate(points, STEPS, mode="linear", align_corners=True)[0].T.contiguous())
    return Ramps(tables[0], tables[1], torch.tensor(_rgb(accent)))


def coloured(ink: Ink, palette: Ramps) -> Tensor:
    """[T,H,W,C] in 0..1 and a little above, where there is glow."""
    tone, hue, glow = together(ink.tone, ink.hue, ink.glow)
    index = (tone.clamp(0, 1) * (STEPS - 1)).long()
    first, second = palette.first.to(tone.device)[index], palette.second.to(tone.device)[index]
    lit = glow.clamp_min(0).unsqueeze(-1) * palette.accent.to(tone.device)
    return torch.lerp(first, second, hue.clamp(0, 1).unsqueeze(-1)) + lit


def at_time(x_THWC: Tensor, time: str) -> Tensor:
    """The light of a time of day."""
    exposure, contrast, top, bottom = TIMES[time]
    if time == "none":
        return x_THWC
    down = torch.linspace(0, 1, x_THWC.shape[1], device=x_THWC.device)[:, None, None]
    tint = torch.lerp(x_THWC.new_tensor(top), x_THWC.new_tensor(bottom), down)
    return (((x_THWC - 0.4) * contrast + 0.4).clamp_min(0) * exposure) * tint


def styled_ink(ink: Ink, style: str) -> Ink:
    """What a style does before colour."""
    tone = ink.tone
    if style == "neon":
        return Ink((tone * 1.25 - 0.22).clamp(0, 1) ** 1.35, ink.hue, 1.5 * ink.glow + 0.30 * smooth(0.5, 0.9, tone))
    if style == "soft":
        return Ink(0.42 + 0.50 * tone, 0.15 + 0.7 * ink.hue, 0.35 * ink.glow)
    if style == "minimal":
        level = tone * 4
        step = (level.floor() + smooth(0.35, 0.65, level - level.floor())) / 4
        return Ink(0.10 + 0.8 * step, (ink.hue > 0.5).float() * 0.5, 0.4 * ink.glow)
    if style == "lines":
        level = tone * 4
        line = smooth(0.40, 0.08, (level - level.round()).abs())  # wide: thin contours do not pass the autoencoder
        return Ink(0.10 + 0.72 * line * (0.35 + 0.65 * tone), ink.hue, 0.4 * ink.glow)
    return ink


def styled(x_THWC: Tensor, style: str, beat: Tensor) -> Tensor:
    """What a style does after colour; `beat` [T] runs with the scene's time."""
    if style == "dreamy":
        haze = _blurred(x_THWC, 24)
        return 0.10 + 0.46 * x_THWC + 0.52 * haze
    if style == "neon":
        return x_THWC + 0.38 * _blurred((x_THWC - 0.35).clamp_min(0), 24)
    if style == "soft":
        return 0.45 * x_THWC + 0.55 * _blurred(x_THWC, 40)
    if style == "glitch":
        return torch.stack([_torn(x, float(b)) for x, b in zip(x_THWC, beat, strict=True)])
    return x_THWC


def _blurred(x_THWC: Tensor, share: int) -> Tensor:
    """A wide soft blur: down to `share` rows and up again."""
    x = x_THWC.permute(0, 3, 1, 2)
    size = (share, max(4, share * x.shape[-1] // x.shape[-2]))
    small = F.interpolate(x, size, mode="area")
    return F.interpolate(small, x.shape[-2:], mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def _torn(x_HWC: Tensor, beat: float) -> Tensor:
    """Bands of rows shifted sideways, red and blue apart; a new pattern now and then."""
    height, width, _ = x_HWC.shape
    source = torch.Generator().manual_seed(int(beat * 3) * 7919 + 11)
    shifts = (torch.randn(10, generator=source) * (torch.rand(10, generator=source) < 0.5) * 0.055 * width).long()
    out = x_HWC.clone()
    for band, shift in enumerate(shifts.tolist()):
        rows = slice(band * height // 10, (band + 1) * height // 10)
        out[rows] = x_HWC[rows].roll(shift, 1)
    apart = max(1, width // 48)
    return torch.stack([out[..., 0].roll(apart, 1), out[..., 1], out[..., 2].roll(-apart, 1)], -1)


def finished(x_THWC: Tensor) -> Tensor:
    """A soft shoulder for the lights, and a quiet vignette."""
    height, width = x_THWC.shape[1:3]
    y = torch.linspace(-1, 1, height, device=x_THWC.device)[:, None]
    x = torch.linspace(-1, 1, width, device=x_THWC.device)[None]
    shaded = x_THWC * (1 - 0.16 * (x * x + y * y).clamp(0, 2) / 2)[None, ..., None]
    over = (shaded - 0.8).clamp_min(0)
    return torch.where(shaded > 0.8, 0.8 + 0.2 * (1 - torch.exp(-over / 0.2)), shaded).clamp(0, 1)
