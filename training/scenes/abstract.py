"""Scenes without a horizon: tunnel, kaleidoscope, particles, fractal, shapes, spiral, plasma, flow, flower."""

from __future__ import annotations

import torch
from torch import Tensor

from training.scenes.field import TAU, Canvas, Dice, Ink, Noise, Painter, bump, curve, polar, smooth, turned


def tunnel(dice: Dice) -> Painter:
    """Rings and ribs running towards a light."""
    noise, ribs = Noise(dice, 1.8), dice.whole(3, 6)
    twist, rings = dice.between(-0.9, 0.9), dice.between(3.0, 5.0)
    bend = dice.between(0.02, 0.10)

    def paint(c: Canvas) -> Ink:
        x, y = c.x + bend * torch.sin(c.time * 0.5), c.y + bend * torch.cos(c.time * 0.37)
        r, angle = polar(x, y)
        deep = 0.35 / r + c.time * 0.55
        wall = torch.sin(angle * ribs + twist * 0.35 / r + 0.6 * noise(deep * 0.08, angle / TAU))
        ring = torch.sin(deep * rings)
        near = smooth(0.05, 0.65, r)
        tone = 0.10 + near * (0.34 + 0.26 * wall * smooth(0.06, 0.2, r) + 0.24 * ring * smooth(0.08, 0.3, r))
        core = torch.exp(-((r / 0.11) ** 2))
        return Ink(
            (tone + 0.75 * core).clamp(0, 1),
            smooth(-0.8, 0.8, wall * ring + 0.4 * ring),
            0.75 * core + 0.12 * near * smooth(0.6, 1, ring),
        )

    return paint


def kaleidoscope(dice: Dice) -> Painter:
    """A pattern folded into equal sectors."""
    noise, folds = Noise(dice, 1.9), dice.whole(3, 6) * 2
    scale, rings = dice.between(0.22, 0.32), dice.between(7, 11)

    def paint(c: Canvas) -> Ink:
        r, angle = polar(c.x, c.y)
        sector = TAU / folds
        a = angle + c.time * 0.06
        a = ((a / sector - (a / sector).floor()) - 0.5).abs() * sector
        u, v = r * torch.cos(a), r * torch.sin(a)
        t = c.time * 0.02
        f = noise(u * scale + t, v * scale - 0.6 * t)
        g = torch.sin(rings * r + 2.2 * f - c.time * 0.7)
        petal = torch.cos(a * folds * 0.5 * 3 + 2 * f)
        tone = 0.46 + 0.27 * g + 0.16 * petal * smooth(0.05, 0.3, r)
        return Ink(
            tone.clamp(0, 1), smooth(-0.9, 0.9, f + 0.5 * petal), 0.3 * torch.exp(-((r / 0.12) ** 2)) + 0.14 * smooth(0.75, 1, g)
        )

    return paint


def particles(dice: Dice) -> Painter:
    """Lamps on slow orbits in the dark, some sharp, some out of focus."""
    count = 18
    ax, ay, phase, pace = (
        dice.many(count, -0.9, 0.9),
        dice.many(count, -0.48, 0.48),
        dice.many(count, 0, TAU),
        dice.many(count, 0.2, 0.6),
    )
    reach, size = dice.many(count, 0.05, 0.2), 0.018 + 0.075 * dice.many(count) ** 2
    noise = Noise(dice, 2.4)

    def paint(c: Canvas) -> Ink:
        tone = 0.09 + 0.05 * noise(c.x * 0.15 + c.time * 0.01, c.y * 0.2) + 0.06 * smooth(0.5, -0.3, c.y)
        hue, glow = torch.zeros_like(c.x), torch.zeros_like(c.x)
        for k in range(count):
            move = c.time * float(pace[k]) + float(phase[k])
            x, y = float(ax[k]) + float(reach[k]) * torch.sin(move), float(ay[k]) + float(reach[k]) * torch.cos(move * 0.8)
            s = float(size[k])
            d2 = ((c.x - x) ** 2 + (c.y - y) ** 2) / (s * s)
            strength = 0.35 + 0.65 * min(1.0, 0.03 / s)
            orb = torch.exp(-(d2**1.5)) * strength + 0.28 * strength / (1 + d2 * 0.35)
            tone, glow = tone + 0.62 * orb, glow + 0.42 * orb
            hue = hue + orb * (k % 2)
        return Ink(tone.clamp(0, 1), hue.clamp(0, 1), glow.clamp(0, 1.2))

    return paint


def fractal(dice: Dice) -> Painter:
    """A Julia set whose seed wanders along the edge of the Mandelbrot set, coloured by how fast points leave."""
    start, zoom, tilt = dice.between(0.9, 2.3), dice.between(2.3, 2.7), dice.between(0, TAU)

    def paint(c: Canvas) -> Ink:
        angle = start + 0.45 * torch.sin(c.time * 0.11)
        re = (0.5 * torch.cos(angle) - 0.25 * torch.cos(2 * angle)) * 1.05
        im = (0.5 * torch.sin(angle) - 0.25 * torch.sin(2 * angle)) * 1.05
        zx, zy = turned(c.x * zoom, c.y * zoom, tilt)
        count, trap = torch.zeros_like(c.x), torch.full_like(c.x, 4.0)
        for _ in range(26):
            zx, zy = zx * zx - zy * zy + re, 2 * zx * zy + im
            size = zx * zx + zy * zy
            count = count + smooth(7.0, 2.0, size)
            trap = torch.minimum(trap, size)
            zx, zy = zx.clamp(-8, 8), zy.clamp(-8, 8)
        level = (count / 26).clamp(0, 1)
        near = torch.exp(-trap * 7)
        tone = 0.06 + 0.72 * level**0.75 * (0.45 + 0.55 * smooth(1.0, 0.55, level)) + 0.30 * near * level
        return Ink(tone.clamp(0, 1), smooth(0.15, 0.75, level), 0.35 * smooth(0.25, 0.6, level) * smooth(1.0, 0.7, level))

    return paint


def shapes(dice: Dice) -> Painter:
    """A few large translucent forms, turning."""
    count = 6
    sides = [dice.whole(3, 6) if dice.chance(0.7) else 0 for _ in range(count)]
    ax, ay, size = dice.many(count, -0.75, 0.75), dice.many(count, -0.32, 0.32), dice.many(count, 0.12, 0.27)
    phase, pace = dice.many(count, 0, TAU), dice.many(count, -0.6, 0.6)

    def paint(c: Canvas) -> Ink:
        tone = 0.16 + 0.16 * smooth(-0.5, 0.5, c.y + 0.3 * c.x)
        hue, glow = 0.25 + torch.zeros_like(c.x), torch.zeros_like(c.x)
        for k in range(count):
            a = float(phase[k])
            x = c.x - float(ax[k]) - 0.12 * torch.sin(c.time * 0.35 + a)
            y = c.y - float(ay[k]) - 0.10 * torch.cos(c.time * 0.28 + 2 * a)
            x, y = turned(x, y, a + c.time * float(pace[k]))
            r, angle = polar(x, y)
            if sides[k]:
                wedge = TAU / sides[k]
                fold = angle - wedge * (angle / wedge).round()
                r = r * torch.cos(fold) / 0.82
            inside = smooth(0.018, -0.018, r - float(size[k]))
            edge = bump(r - float(size[k]), 0.02)
            slope = 0.42 + 0.09 * k + 0.5 * y / float(size[k]) * 0.35
            tone = tone * (1 - 0.82 * inside) + 0.82 * slope * inside + 0.2 * edge
            hue, glow = hue * (1 - inside) + (k % 3) * 0.5 * inside, glow * (1 - 0.5 * inside) + 0.22 * edge
        return Ink(tone.clamp(0, 1), hue.clamp(0, 1), glow)

    return paint


def spiral(dice: Dice) -> Painter:
    """Arms winding into the middle."""
    arms, wind = dice.whole(2, 5), dice.between(4.0, 7.0) * (1 if dice.chance(0.5) else -1)
    noise, soft = Noise(dice, 2.2), dice.between(0.3, 0.6)

    def paint(c: Canvas) -> Ink:
        r, angle = polar(c.x, c.y)
        turn = arms * angle + wind * torch.log(r + 0.03) * 1.0 - c.time * 1.3
        wave = torch.sin(turn + soft * noise(c.x * 0.2, c.y * 0.2))
        fade = smooth(0.0, 0.12, r)
        second = torch.sin(turn * 1.0 + 1.4)
        tone = 0.44 + 0.36 * wave * fade - 0.22 * smooth(0.35, 1.0, r)
        core = torch.exp(-((r / 0.08) ** 2))
        return Ink((tone + 0.4 * core).clamp(0.02, 1), smooth(-1, 1, second) * fade, 0.5 * core + 0.14 * smooth(0.6, 1, wave))

    return paint


def plasma(dice: Dice) -> Painter:
    """Blobs that flow into each other."""
    p, f = dice.many(6, 0, TAU), dice.many(6, 3.0, 5.4)

    def paint(c: Canvas) -> Ink:
        t = c.time * 0.55
        x = c.x + 0.22 * torch.sin(c.y * float(f[0]) + t + float(p[0]))
        y = c.y + 0.22 * torch.sin(c.x * float(f[1]) - 0.8 * t + float(p[1]))
        x, y = (
            x + 0.14 * torch.sin(y * float(f[2]) * 1.4 + t * 0.7 + float(p[2])),
            y + 0.14 * torch.cos(x * float(f[3]) * 1.3 - t),
        )
        a, b = torch.sin(x * 6.4 + t + float(p[4])), torch.cos(y * 7.4 - 0.6 * t + float(p[5]))
        body = a + b + torch.sin((x + y) * 4.6 + 0.4 * t)
        rim = bump(body - 0.6, 0.35)
        return Ink(
            (0.44 + 0.20 * body + 0.10 * rim).clamp(0, 1), smooth(-1.0, 1.0, b - 0.5 * a), 0.22 * rim * smooth(0, 1.5, body)
        )

    return paint


def flow(dice: Dice) -> Painter:
    """Folds of silk."""
    a, b = Noise(dice, 2.6), Noise(dice, 2.4)
    angle, bands = dice.between(-0.6, 0.6), dice.between(8, 13)

    def paint(c: Canvas) -> Ink:
        t = c.time * 0.02
        x, y = turned(c.x, c.y, angle)
        warp = a(x * 0.14 + t, y * 0.22) + 0.35 * b(x * 0.3 - t, y * 0.35 + 0.5 * t)
        place = y * 1.5 + 0.30 * warp
        fold = torch.sin(place * bands + 0.8 * b(x * 0.12, place * 0.2 + t))
        fine = torch.sin(place * bands * 3.1 + warp)
        shine = smooth(0.55, 1.0, fold)
        tone = 0.36 + 0.28 * fold + 0.05 * fine + 0.18 * shine
        return Ink(tone.clamp(0.03, 1), smooth(-1.3, 1.3, warp), 0.22 * shine)

    return paint


def flower(dice: Dice) -> Painter:
    """Layers of petals opening."""
    petals, layers = dice.whole(5, 8), 4
    noise, tilt = Noise(dice, 2.2), dice.between(-0.15, 0.15)
    shape = dice.many(9, 0.9, 1.1)

    def paint(c: Canvas) -> Ink:
        back = 0.16 + 0.07 * noise(c.x * 0.15 + c.time * 0.008, c.y * 0.15) + 0.14 * torch.exp(-torch.hypot(c.x, c.y) / 0.5)
        tone, hue, glow = back, torch.ones_like(c.x) * 0.9, torch.zeros_like(c.x)
        x, y = c.x + tilt * c.y, c.y
        r, angle = polar(x, y)
        breath = 1 + 0.05 * torch.sin(c.time * 0.6)
        for k in range(layers):
            reach = (0.46 - 0.10 * k) * breath
            a = angle + k * TAU / petals / 2 + 0.10 * torch.sin(c.time * 0.3 + k)
            lobe = torch.cos(a * petals / 2).abs() ** 0.55 * curve(shape, a / TAU + 0.1 * k)
            rim = reach * (0.55 + 0.45 * lobe)
            inside = smooth(0.008, -0.008, r - rim)
            vein = 0.04 * torch.cos(a * petals * 4) * smooth(0.05, 0.2, r)
            body = 0.30 + 0.46 * (r / rim).clamp(0, 1) ** 1.6 + 0.05 * k + vein - 0.16 * (1 - lobe)
            tone, hue = tone * (1 - inside) + body * inside, hue * (1 - inside) + (0.15 + 0.16 * k) * inside
            glow = glow * (1 - inside) + 0.14 * inside * smooth(0.75, 1.0, r / rim)
        heart = smooth(0.075, 0.055, r)
        seeds = specks_ring(r, angle)
        return Ink(
            (tone * (1 - heart) + (0.55 + 0.3 * seeds) * heart).clamp(0, 1),
            hue * (1 - heart) + heart,
            glow + 0.45 * heart * seeds,
        )

    return paint


def specks_ring(r: Tensor, angle: Tensor) -> Tensor:
    return 0.5 + 0.5 * torch.sin(angle * 9 + r * 160) * torch.sin(r * 150)
