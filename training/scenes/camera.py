"""Pictures a camera might send, made by rule: a head and hands in front of a lit room, for video-to-video.

They have no caption of their own; their latents teach the autoencoder skin, cloth and soft edges, and serve as inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.scenes.clip import FPS
from training.scenes.field import Canvas, Dice, Noise, bump, smooth, turned

SKINS = ("f1c9a5", "d8a077", "a86f48", "70452c", "4a2c1c")


def camera(seed: int, frames: int, height: int, width: int, fps: float = FPS) -> Tensor:
    """uint8 [T,H,W,C]: someone moving a little."""
    person = Person(Dice(seed))
    y = ((torch.arange(height) + 0.5) / height - 0.5).view(1, -1, 1).expand(1, height, width)
    x = (((torch.arange(width) + 0.5) / width - 0.5) * (width / height)).view(1, 1, -1).expand(1, height, width)
    out = []
    for number in range(frames):
        time = torch.full((1, 1, 1), number / fps)
        out.append(person.picture(Canvas(x, y, x, y, time, torch.zeros(1, 1, 1))))
    return (torch.cat(out).clamp(0, 1) * 255 + 0.5).to(torch.uint8)


class Person:
    """One sitter in one room."""

    def __init__(self, dice: Dice) -> None:
        self.room, self.cloth = Noise(dice, 1.9), Noise(dice, 1.4)
        code = SKINS[dice.whole(0, len(SKINS) - 1)]
        self.skin = torch.tensor([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        self.wall, self.shirt, self.hair = dice.many(3, 0.15, 0.75), dice.many(3, 0.1, 0.8), dice.many(3, 0.02, 0.35)
        self.lamp, self.at, self.size = dice.between(-0.8, 0.8), dice.between(-0.3, 0.3), dice.between(0.16, 0.24)
        self.phase, self.pace, self.hands = dice.many(6, 0, 6.28), dice.many(6, 0.4, 1.4), dice.chance(0.7)
        self.edges = dice.many(4, -0.9, 0.9)

    def picture(self, c: Canvas) -> Tensor:
        """[1,H,W,C]."""
        t = c.time
        shade = 0.75 + 0.12 * self.room(c.x * 0.3, c.y * 0.3) + 0.35 * torch.exp(-torch.hypot(c.x - self.lamp, c.y + 0.3) / 0.5)
        for k in range(4):
            shade = shade * (1 - 0.3 * smooth(0.1, 0.09, (c.x - float(self.edges[k])).abs()) * (0.4 + 0.2 * k))
        rgb = self.wall * shade.unsqueeze(-1)
        p, v = self.phase, self.pace
        hx = self.at + 0.09 * torch.sin(t * v[0] + p[0])
        hy = -0.05 + 0.03 * torch.sin(t * v[1] + p[1])
        body = smooth(0.012, -0.012, ((c.x - hx * 0.7) / (self.size * 2.0)) ** 2 + ((c.y - 0.56) / 0.36) ** 2 - 1)
        fold = 0.8 + 0.10 * self.cloth(c.x * 0.4, c.y * 0.4) + 0.25 * (c.x - hx) * (1 if self.lamp > 0 else -1)
        rgb = _over(rgb, self.shirt * fold.unsqueeze(-1), body)
        dx, dy = turned(c.x - hx, c.y - hy, 0.15 * torch.sin(t * v[2] + p[2]))
        u, w = dx / (self.size * 0.78), dy / self.size
        rgb = _over(rgb, self.hair * fold.unsqueeze(-1), smooth(1.25, 1.15, u**2 + (w + 0.22) ** 2))
        rgb = _over(rgb, self._face(u, w, c), smooth(1.04, 0.96, u**2 + w**2))
        if self.hands:
            for side in (0, 1):
                rgb = self._hand(rgb, c, side)
        return rgb

    def _face(self, u: Tensor, w: Tensor, c: Canvas) -> Tensor:
        turn = u * (0.35 if self.lamp > 0 else -0.35)
        shade = 0.95 + turn - 0.15 * w**2 - 0.12 * bump(u, 0.12) * smooth(0.3, 0.0, w.abs())
        eyes = sum(bump(u - s * 0.38, 0.15) * bump(w + 0.15, 0.09) for s in (-1, 1))
        brows = sum(bump(u - s * 0.38, 0.2) * bump(w + 0.36, 0.05) for s in (-1, 1))
        mouth = bump(u, 0.28) * bump(w - 0.5 - 0.05 * torch.sin(c.time * 3), 0.07)
        dark = (shade * 0 + 1 - 0.75 * eyes - 0.5 * brows).clamp(0.05, 1) * shade
        red = self.skin.new_tensor([0.15, -0.12, -0.08])
        return self.skin * dark.unsqueeze(-1) + red * mouth.unsqueeze(-1)

    def _hand(self, rgb: Tensor, c: Canvas, side: int) -> Tensor:
        p, v, way = self.phase[3 + side], self.pace[3 + side], 2 * side - 1
        x = c.x - self.at - way * (0.42 + 0.12 * torch.sin(c.time * v + p))
        y = c.y - 0.22 - 0.16 * torch.cos(c.time * v * 1.3 + p)
        x, y = turned(x, y, way * (0.4 + 0.4 * torch.sin(c.time * v + 1)))
        palm = smooth(0.005, -0.005, torch.sqrt((x / 0.9) ** 2 + y**2) - 0.062)
        for k in range(5):
            fx, fy = turned(x, y, (k - 2) * 0.28)
            finger = smooth(0.004, -0.004, torch.hypot(fx, (fy + 0.085).clamp(-0.045, 0.045) - (fy + 0.085)) - 0.0155)
            palm = torch.maximum(palm, finger)
        shade = 0.92 + 1.2 * x * way
        return _over(rgb, self.skin * shade.unsqueeze(-1), palm)


def _over(below: Tensor, above: Tensor, cover_THW: Tensor) -> Tensor:
    return torch.lerp(below, above, cover_THW.clamp(0, 1).unsqueeze(-1))
