"""Scenes above us: aurora, nebula, galaxy, clouds, rain, snow."""

from __future__ import annotations

import torch

from training.scenes.field import TAU, Canvas, Dice, Ink, Noise, Painter, bump, curve, light, polar, smooth, specks, stars


def aurora(dice: Dice) -> Painter:
    """Curtains of light over black hills."""
    noise, salt = Noise(dice, 1.6), dice.between(0, 9)
    offsets, hill = dice.many(3), dice.many(9)
    base = dice.between(0.08, 0.20)

    def paint(c: Canvas) -> Ink:
        glow = torch.zeros_like(c.x)
        for k in range(3):
            o = float(offsets[k])
            edge = base - 0.12 * k + 0.12 * noise(c.x * 0.22 + o, c.time * 0.012 + o)
            rise = edge - c.y
            rays = 0.55 + 0.45 * noise(c.x * 0.9 + o + rise * 0.05, c.time * 0.03 + o * 3)
            height = 0.16 + 0.07 * k
            glow = glow + rays.clamp_min(0.1) * smooth(-0.05, 0.06, rise) * torch.exp(-rise.clamp_min(0) / height)
        ridge = 0.30 + 0.10 * (curve(hill, c.x * 0.45 + 0.2) - 0.5) + 0.01 * noise(c.x, c.x * 0.3)
        land = smooth(ridge - 0.012, ridge + 0.012, c.y)
        sky = 0.10 + 0.10 * smooth(-0.5, 0.5, c.y) + 0.55 * glow.clamp(0, 1.4)
        return Ink(
            sky * (1 - land) + 0.02 * land,
            smooth(0.1, -0.45, c.y),
            (0.25 * glow + 0.5 * stars(c, salt) * smooth(0.3, 0.0, c.y)) * (1 - land),
        )

    return paint


def nebula(dice: Dice) -> Painter:
    """Clouds of gas with stars in front."""
    a, b, salt = Noise(dice, 1.7), Noise(dice, 2.2), dice.between(0, 9)
    core_x, core_y = dice.between(-0.4, 0.4), dice.between(-0.15, 0.15)

    def paint(c: Canvas) -> Ink:
        t = c.time * 0.012
        u, v = c.x * 0.16, c.y * 0.16
        wx, wy = b(u + t, v), b(u + 0.4, v - t)
        gas = a(u + 0.05 * wx, v + 0.05 * wy)
        dust = b(u * 2 + 0.03 * gas + 0.7, v * 2 + t)
        core = torch.exp(-(((c.x - core_x) / 0.55) ** 2 + ((c.y - core_y) / 0.38) ** 2))
        wisp = smooth(-0.2, 1.9, gas) * (0.4 + 0.9 * core)
        tone = (0.13 + 0.09 * gas + 0.34 * core + 0.42 * wisp - 0.15 * smooth(0.2, 1.8, dust)).clamp(0.02, 1)
        hue = smooth(-0.8, 0.8, wx + 0.4 * dust)
        return Ink(tone, hue, stars(c, salt) * 0.9 + 0.25 * core**2 * (0.6 + 0.4 * gas).clamp_min(0))

    return paint


def galaxy(dice: Dice) -> Painter:
    """A tilted spiral of stars around a bright core."""
    noise, salt = Noise(dice, 1.3), dice.between(0, 9)
    arms, wind = dice.whole(2, 3), dice.between(2.2, 3.4)
    tilt, lean = dice.between(0.5, 0.8), dice.between(-0.5, 0.5)

    def paint(c: Canvas) -> Ink:
        x = c.x * 1.0 + c.y * lean
        y = (c.y - c.x * lean * 0.4) / tilt
        r, angle = polar(x, y)
        turn = angle - c.time * 0.25 + wind * torch.log(r + 0.06)
        grain = noise(torch.cos(turn) * r * 0.4 + 0.5, torch.sin(turn) * r * 0.4 + 0.5)
        arm = (0.5 + 0.5 * torch.cos(arms * turn + 0.6 * grain)) ** 2
        disk = torch.exp(-r / 0.27)
        core = torch.exp(-((r / 0.10) ** 2))
        tone = 0.06 + 0.95 * disk * (0.25 + 0.75 * arm) * (1 + 0.22 * grain) + 0.5 * core
        return Ink(tone.clamp(0, 1), smooth(0.02, 0.42, r), 0.8 * core + stars(c, salt, 0.4) * 0.8)

    return paint


def clouds(dice: Dice) -> Painter:
    """Lit heaps of cloud in an open sky."""
    noise, soft = Noise(dice, 1.9), Noise(dice, 2.4)
    sun_x, level = dice.between(-0.6, 0.6), dice.between(-0.55, -0.2)

    def paint(c: Canvas) -> Ink:
        t = c.time * 0.02
        u, v = c.x * 0.26 + t, c.y * 0.46
        warp = soft(u, v + 0.3 * t)
        thick = noise(u + 0.03 * warp, v + 0.02 * warp) + 0.6 * soft(u * 1.5 + 0.3, v * 1.3)
        lit = thick - noise(u + 0.03 * warp + 0.012, v + 0.02 * warp - 0.03)
        cover = smooth(level - 0.1, level + 0.9, thick + 0.9 * c.y)
        shade = (0.78 + 0.22 * lit - 0.16 * smooth(0.6, 2.0, thick)).clamp(0.35, 1)
        sky = 0.40 + 0.22 * smooth(-0.5, 0.5, c.y)
        sun = torch.exp(-torch.hypot(c.x - sun_x, c.y + 0.32) / 0.35)
        return Ink(sky * (1 - cover) + shade * cover + 0.15 * sun, 0.9 * (1 - cover) * smooth(0.5, -0.5, c.y), 0.28 * sun)

    return paint


def rain(dice: Dice) -> Painter:
    """Streaks in front of blurred lamps, and a wet street."""
    noise, salt = Noise(dice, 1.6), dice.between(0, 9)
    xs, ys, sizes = dice.many(9, -0.9, 0.9), dice.many(9, -0.3, 0.12), dice.many(9, 0.05, 0.12)
    slant = dice.between(-0.2, 0.2)

    def paint(c: Canvas) -> Ink:
        lamps, mirror = torch.zeros_like(c.x), torch.zeros_like(c.x)
        ripple = 0.02 * noise(c.x * 0.5, c.y * 2.0 - c.time * 0.15)
        for k in range(9):
            dx = c.x - float(xs[k])
            lamps = lamps + smooth(1.15, 0.75, torch.hypot(dx, c.y - float(ys[k])) / float(sizes[k]))
            mirror = mirror + bump(dx + ripple, float(sizes[k]) * 0.8) * smooth(0.14, 0.5, c.y)
        fall = torch.zeros_like(c.x)
        for k, (thin, pace) in enumerate(((7.0, 1.6), (12.0, 2.3))):
            x = (c.x + c.y * slant) * thin + k * 0.37
            column = x.floor()
            drop = c.y * 0.8 - c.time * pace * (0.8 + 0.4 * hash_line(column, salt + k)) + hash_line(column, salt + 5 + k)
            head = drop - drop.floor()
            fall = fall + bump(x - column - 0.5, 0.17) * smooth(0.55, 1.0, head) * (0.45 + 0.25 * k)
        street = smooth(0.12, 0.2, c.y)
        tone = 0.10 + 0.13 * smooth(-0.5, 0.4, c.y) + 0.34 * lamps.clamp(0, 1.3) * (1 - street)
        tone = tone + 0.42 * mirror.clamp(0, 1.2) + 0.55 * fall
        return Ink(tone.clamp(0, 1), (lamps * 0.7 + mirror * 0.6).clamp(0, 1), 0.12 * lamps + 0.10 * mirror)

    return paint


def hash_line(i: torch.Tensor, salt: float) -> torch.Tensor:
    return torch.frac(torch.sin(i * 37.719 + salt) * 9631.17).abs()


def snow(dice: Dice) -> Painter:
    """Flakes at three distances over white hills and a few firs."""
    noise, salt = Noise(dice, 2.2), dice.between(0, 9)
    far, near = dice.many(7), dice.many(6)
    tree_x, tree_h = dice.many(7, -0.85, 0.85), dice.many(7, 0.14, 0.30)

    def paint(c: Canvas) -> Ink:
        back = 0.06 + 0.14 * (curve(far, c.x * 0.35) - 0.5)
        front = 0.26 + 0.12 * (curve(near, c.x * 0.3 + 0.4) - 0.5)
        tone = 0.42 + 0.28 * smooth(-0.5, 0.2, c.y) + 0.03 * noise(c.x * 0.2 + c.time * 0.01, c.y * 0.2)
        hill = smooth(back - 0.02, back + 0.02, c.y)
        tone = tone * (1 - hill) + (0.72 + 0.16 * (c.y - back)) * hill
        firs = torch.zeros_like(c.x)
        for k in range(7):
            x = c.x - float(tree_x[k])
            foot = 0.29 + 0.12 * (curve(near, torch.tensor(float(tree_x[k]) * 0.3 + 0.4)) - 0.5)
            up = (foot - c.y) / float(tree_h[k])
            wide = (1 - up) * 0.23 * float(tree_h[k]) * (0.8 + 0.35 * torch.sin(up * 14).abs())
            firs = torch.maximum(firs, smooth(0.012, -0.012, x.abs() - wide) * smooth(-0.02, 0.03, up) * (up < 1).float())
        tone = tone * (1 - firs) + 0.16 * firs
        ground = smooth(front - 0.02, front + 0.02, c.y)
        tone = tone * (1 - ground) + (0.88 + 0.05 * noise(c.x * 0.3, c.y * 0.6)) * ground
        flakes = torch.zeros_like(c.x)
        for k, (scale, pace, size) in enumerate(((9.0, 0.10, 0.16), (5.5, 0.16, 0.16), (3.2, 0.26, 0.13))):
            sway = 0.04 * torch.sin(c.time * 0.8 + c.y * 3 + k * TAU / 3)
            dots = specks(c.x + sway, c.y - c.time * pace, per_height=scale, size=size, share=0.75, salt=salt + k)
            flakes = flakes + dots * (0.5 + 0.25 * k)
        return Ink((tone + 0.4 * flakes).clamp(0, 1), 0.5 * smooth(0.1, -0.5, c.y), 0.55 * flakes)

    return paint


def night_lamp(c: Canvas, x: float, y: float, size: float) -> torch.Tensor:
    """The sun or the moon."""
    return light(torch.hypot(c.x - x, c.y - y), size)
