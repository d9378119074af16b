"""Scenes with a horizon: ocean, mountains, dunes, forest, city, underwater, and fire."""

from __future__ import annotations

import torch
from torch import Tensor

from training.scenes.field import Canvas, Dice, Ink, Noise, Painter, bump, curve, light, smooth, specks, stars


def ocean(dice: Dice) -> Painter:
    """Swell under a low sun, with its path of light on the water."""
    noise, sky_noise = Noise(dice, 1.7), Noise(dice, 2.3)
    level, sun_x = dice.between(-0.10, 0.04), dice.between(-0.35, 0.35)
    high, size = dice.between(0.08, 0.24), dice.between(0.05, 0.09)

    def paint(c: Canvas) -> Ink:
        down = (c.y - level).clamp_min(0.004)
        far = 0.11 / (down + 0.05)
        u, v = c.x * far * 0.5, far * 0.55
        swell = noise(u + c.time * 0.012, v + c.time * 0.035) + 0.5 * noise(u * 1.9 - c.time * 0.02, v * 1.7 + c.time * 0.06)
        near = smooth(0.0, 0.55, down)
        water = 0.30 - 0.14 * near + (0.05 + 0.12 * near) * swell
        path = bump(c.x - sun_x + 0.05 * swell * (0.3 + down), 0.06 + 0.34 * down)
        glint = path * (0.35 + 0.65 * smooth(-0.4, 1.2, swell)) * (1 - 0.6 * near)
        streaks = sky_noise(c.x * 0.10 + c.time * 0.004, c.y * 0.5)
        sun = light(torch.hypot(c.x - sun_x, c.y - level + high), size)
        low = smooth(-0.5, 0.0, c.y - level)
        sky = 0.26 + 0.40 * low**2 + 0.06 * streaks * (0.4 + low)
        sea = smooth(-0.004, 0.004, c.y - level)
        tone = (sky + 0.5 * sun) * (1 - sea) + (water + 0.55 * glint) * sea
        hue = (0.2 + 0.8 * low**2) * (1 - sea) + 0.75 * glint * sea
        return Ink(tone.clamp(0, 1), hue, 0.75 * sun * (1 - sea) + 0.30 * glint * sea)

    return paint


def mountains(dice: Dice) -> Painter:
    """Ridge behind ridge, paler with distance, under a sun."""
    profiles = [dice.many(11 + 2 * k) for k in range(5)]
    noise = Noise(dice, 1.6)
    sun_x, sun_y = dice.between(-0.5, 0.5), dice.between(-0.34, -0.2)

    def paint(c: Canvas) -> Ink:
        sun = light(torch.hypot(c.x - sun_x, c.y - sun_y), 0.07)
        tone = 0.66 + 0.24 * smooth(-0.5, 0.1, c.y) + 0.3 * sun
        hue, glow = 0.85 * smooth(-0.4, 0.12, c.y), 0.6 * sun
        for k, profile in enumerate(profiles):
            along = (c.x + c.pan * (0.15 + 0.2 * k)) * (0.24 + 0.03 * k) + 0.31 * k
            peaks = 0.62 * curve(profile, along, sharp=True) + 0.30 * curve(profile, along * 2.3 + 0.4, sharp=True)
            rough = 0.018 * noise(along * 0.9, along * 0.31 + 0.1 * k)
            ridge = -0.06 + 0.13 * k - (0.34 - 0.035 * k) * peaks + rough
            inside = smooth(-0.006, 0.006, c.y - ridge)
            mist = smooth(0.0, 0.34, c.y - ridge)
            body = 0.56 - 0.125 * k + 0.13 * mist
            body = body + 0.03 * torch.sin(c.time * 0.2 + c.x * 2) * mist
            tone, hue, glow = tone * (1 - inside) + body * inside, hue * (1 - inside) + 0.22 * mist * inside, glow * (1 - inside)
        return Ink(tone.clamp(0, 1), hue, glow)

    return paint


def dunes(dice: Dice) -> Painter:
    """Sand ridges, one side in the light and one in the shade."""
    noise = Noise(dice, 2.2)
    sun_x = dice.between(-0.5, 0.5)
    phases, leans = dice.many(4, 0, 6.28), dice.many(4, 0.35, 0.75)

    def paint(c: Canvas) -> Ink:
        sun = light(torch.hypot(c.x - sun_x, c.y + 0.27), 0.075)
        tone = 0.60 + 0.26 * smooth(-0.5, 0.0, c.y) + 0.3 * sun
        hue, glow = 0.9 * smooth(0.1, -0.5, c.y), 0.6 * sun
        for k in range(4):
            x = c.x + c.pan * (0.2 + 0.25 * k) + c.time * 0.015 * (k + 1)
            p, lean = float(phases[k]), float(leans[k])
            crest = -0.06 + 0.15 * k + 0.075 * torch.sin(x * (2.6 - 0.3 * k) + p) + 0.03 * torch.sin(x * 5.1 + 2 * p)
            inside = smooth(-0.005, 0.005, c.y - crest)
            depth = c.y - crest
            side = smooth(-0.12, 0.12, torch.cos(x * (2.6 - 0.3 * k) + p + depth * 7) * lean + 0.05 * noise(x * 0.3, c.y * 0.6))
            body = 0.30 + 0.42 * side - 0.32 * depth.clamp(0, 0.6) + 0.02 * torch.sin((depth - 0.3 * side) * 90 + 3 * x)
            tone, hue, glow = tone * (1 - inside) + body * inside, hue * (1 - inside) + 0.15 * inside, glow * (1 - inside)
        return Ink(tone.clamp(0, 1), hue, glow)

    return paint


def forest(dice: Dice) -> Painter:
    """Firs in the mist, row behind row."""
    rows = [(dice.many(7, 0.75, 1.15), dice.between(0, 1)) for _ in range(4)]
    noise, ray_x = Noise(dice, 2.0), dice.between(-0.5, 0.5)

    def paint(c: Canvas) -> Ink:
        haze = noise(c.x * 0.14 + c.time * 0.012, c.y * 0.3)
        lamp = torch.exp(-torch.hypot(c.x - ray_x, c.y + 0.35) / 0.4)
        tone, hue = 0.70 + 0.1 * haze * 0.5 + 0.28 * lamp, 0.8 * lamp + 0.1
        for k, (heights, offset) in enumerate(rows):
            across = 5.2 - 0.95 * k
            u = (c.x + c.pan * (0.1 + 0.3 * k)) * across + offset * 7 + 0.012 * torch.sin(c.time * 1.3 + c.x * 4) * (0.2 - c.y)
            cover = torch.zeros_like(c.x)
            for half in (0.0, 0.5):
                i = (u + half).floor()
                tall = heights[(i.long() + (3 if half else 0)) % 7] * (0.30 + 0.13 * k)
                up = (0.16 + 0.10 * k - c.y) / tall
                step = (up * 6) - (up * 6).floor()
                wide = (0.42 * (1 - up) * (0.72 + 0.42 * (1 - step))).clamp_min(0.0)
                cover = torch.maximum(cover, smooth(0.05, -0.05, (u + half - i - 0.5).abs() - wide) * (up < 1).float())
            body = 0.52 - 0.145 * k + 0.16 * smooth(-0.1, 0.35, c.y) * (1 - 0.25 * k) + 0.03 * haze
            tone, hue = tone * (1 - cover) + body * cover, hue * (1 - 0.75 * cover)
        return Ink(tone.clamp(0.02, 1), hue, 0.30 * lamp * (tone > 0.5).float() * smooth(0.4, -0.4, c.y))

    return paint


def city(dice: Dice) -> Painter:
    """Towers with lit windows, and their reflection in the river."""
    heights, lit, moon = dice.many(23), dice.between(0.3, 0.5), dice.between(-0.5, 0.5)
    noise, salt = Noise(dice, 2.0), dice.between(0, 9)

    def towers(c: Canvas, up: Tensor, layer: int, salt_k: float) -> tuple[Tensor, Tensor]:
        across = 7.5 - 2.0 * layer
        u = (c.x + c.pan * (0.2 + 0.25 * layer)) * across + 31.4 * (layer + 1)
        i = u.floor()
        tall = heights[(i.long() * (5 + 2 * layer)) % 23] ** 1.5 * 0.36 + 0.14 - 0.05 * layer
        inside = smooth(0.008, -0.008, up - tall) * smooth(0.49, 0.44, (u - i - 0.5).abs())
        row, col = up * 11, (u - i) * 2
        on = (hash2(row.floor() + 17 * i, col.floor(), salt_k) < lit).float()
        pane = smooth(0.40, 0.24, (row - row.floor() - 0.5).abs()) * smooth(0.40, 0.24, (col - col.floor() - 0.5).abs())
        twinkle = 0.75 + 0.25 * torch.sin(c.time * 0.9 + i * 3 + row.floor() * 1.7)
        return inside, inside * on * pane * twinkle * smooth(0.0, 0.03, tall - up)

    def paint(c: Canvas) -> Ink:
        shore = 0.24
        wet = smooth(shore - 0.004, shore + 0.004, c.y)
        ripple = 0.02 * noise(c.x * 0.5, c.y * 2.2 - c.time * 0.05) * wet
        x = Canvas(c.x + ripple, c.y, c.flat_x, c.flat_y, c.time, c.pan)
        up = torch.where(c.y < shore, shore - c.y, (c.y - shore) * 1.15)
        disk = light(torch.hypot(c.x - moon, shore - up + 0.33), 0.06) * (1 - 0.5 * wet)
        tone = 0.20 + 0.30 * torch.exp(-up / 0.22) + 0.35 * disk
        hue, glow = 0.85 * torch.exp(-up / 0.25), 0.6 * disk + 0.3 * stars(c, salt, 0.3) * (1 - wet) * smooth(0.3, 0.6, up)
        for layer in range(2):
            inside, panes = towers(x, up, layer, salt + layer)
            body = 0.17 - 0.09 * layer + 0.10 * torch.exp(-up / 0.10)
            tone = tone * (1 - inside) + (body + 0.62 * panes) * inside
            hue, glow = hue * (1 - inside) + 0.8 * panes, glow * (1 - inside) + (0.16 + 0.16 * layer) * panes
        dim = 1 - 0.42 * wet
        return Ink((tone * dim).clamp(0, 1), hue, glow * dim)

    return paint


def hash2(i: Tensor, j: Tensor, salt: float) -> Tensor:
    return torch.frac(torch.sin(i * 12.9898 + j * 78.233 + salt) * 43758.547).abs()


def underwater(dice: Dice) -> Painter:
    """Rays from the surface, nets of light, rising bubbles, weeds."""
    a, b, salt = Noise(dice, 1.9), Noise(dice, 2.4), dice.between(0, 9)
    weeds, tall = dice.many(8, -0.85, 0.85), dice.many(8, 0.15, 0.38)
    lamp = dice.between(-0.4, 0.4)

    def paint(c: Canvas) -> Ink:
        t = c.time * 0.03
        depth = smooth(-0.55, 0.5, c.y)
        fan = (c.x - lamp) / (0.9 + c.y)
        rays = smooth(-0.3, 1.6, a(fan * 0.55 + 0.3 * t, t * 0.7)) * (1 - depth)
        floor = smooth(0.22, 0.36, c.y + 0.03 * b(c.x * 0.3, c.x * 0.1))
        net = 1 - (a(c.x * 0.35 + 0.02 * b(c.x * 0.4 + t, c.y), c.y * 0.9 + t)).abs()
        surface = smooth(0.25, 1.0, net) * smooth(-0.1, -0.5, c.y)
        tone = 0.66 - 0.46 * depth + 0.26 * rays + 0.22 * surface + floor * (0.10 + 0.22 * smooth(0.35, 1.0, net))
        plants = torch.zeros_like(c.x)
        for k in range(8):
            up = (0.5 - c.y) / float(tall[k])
            sway = 0.05 * up * torch.sin(c.time * 0.9 + up * 2.5 + k)
            thin = 0.022 * (1.15 - up).clamp(0, 1) * (1 + 0.35 * torch.sin(up * 16 + k))
            plants = torch.maximum(plants, smooth(0.008, -0.008, (c.x - float(weeds[k]) - sway).abs() - thin) * (up < 1).float())
        rise = specks(
            c.x + 0.02 * torch.sin(c.y * 9 + c.time), c.y + c.time * 0.10, per_height=4.5, size=0.13, share=0.4, salt=salt
        )
        tone = tone * (1 - 0.75 * plants) + 0.25 * rise
        return Ink(tone.clamp(0, 1), 0.75 * floor + 0.5 * plants + 0.3 * rays, 0.22 * rays + 0.25 * surface + 0.3 * rise)

    return paint


def fire(dice: Dice) -> Painter:
    """Tongues of flame and flying sparks."""
    a, b, salt = Noise(dice, 1.8), Noise(dice, 2.3), dice.between(0, 9)
    width = dice.between(0.55, 0.95)

    def paint(c: Canvas) -> Ink:
        t = c.time
        sway = b(c.x * 0.18 + 0.2, c.y * 0.22 + t * 0.10)
        lick = a(c.x * 0.30 + 0.045 * sway, c.y * 0.17 + t * 0.22) + 0.45 * a(c.x * 0.62 + 0.3, c.y * 0.36 + t * 0.40)
        body = (0.5 + c.y) * 1.5 - 0.42 + 0.40 * lick - 0.9 * (c.x / width).abs().clamp_min(0.25) ** 2 + 0.05
        heat = smooth(-0.25, 1.15, body)
        sparks = specks(c.x + 0.05 * sway, c.y + t * 0.35, per_height=7, size=0.10, share=0.30, salt=salt)
        core = smooth(0.55, 1.3, body)
        return Ink(
            (0.02 + 0.98 * heat).clamp(0, 1), smooth(0.2, 0.8, heat) * 0.8, 0.55 * core + 0.7 * sparks * smooth(0.5, -0.3, c.y)
        )

    return paint
