"""A clip: what it shows (a `Shot`), how shots follow each other, and the pictures.

Everything follows from the shots and their seeds. Shape suffixes: T frames, H rows, W columns, C colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.scenes import abstract, land, sky
from training.scenes.colour import at_time, coloured, finished, ramps, styled, styled_ink
from training.scenes.field import Canvas, Dice, Ink, Noise, Painter, smooth, together, turned

FPS = 16.0
GROUP = 4  # frames painted at once: small enough to stay in the processor's cache
SPEEDS = {"still": 0.06, "slow": 0.4, "none": 1.0, "fast": 2.3}
PAINTERS = {
    "ocean": land.ocean, "aurora": sky.aurora, "nebula": sky.nebula, "galaxy": sky.galaxy, "fire": land.fire,
    "rain": sky.rain, "snow": sky.snow, "tunnel": abstract.tunnel, "kaleidoscope": abstract.kaleidoscope,
    "particles": abstract.particles, "fractal": abstract.fractal, "city": land.city, "forest": land.forest,
    "mountains": land.mountains, "clouds": sky.clouds, "shapes": abstract.shapes, "spiral": abstract.spiral,
    "plasma": abstract.plasma, "flow": abstract.flow, "underwater": land.underwater, "dunes": land.dunes,
    "flower": abstract.flower,
}  # fmt: skip
OUTDOORS = ("ocean", "aurora", "rain", "snow", "city", "forest", "mountains", "clouds", "dunes")  # know a time of day
UPRIGHT = (*OUTDOORS, "underwater", "fire")  # do not turn, and are not flown into
PARALLAX = ("forest", "mountains", "dunes", "city")  # slide their layers apart by themselves


@dataclass(frozen=True, slots=True)
class Shot:
    """What is seen. `seed` fixes everything the words leave open."""

    scene: str
    palette: str
    motion: str = "none"
    speed: str = "none"
    style: str = "none"
    time: str = "none"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A second shot that takes over: from frame `start`, over `frames`."""

    to: Shot
    start: int
    frames: int


def motions(scene: str) -> tuple[str, ...]:
    """The movements a scene can really show."""
    if scene == "aurora" or scene not in UPRIGHT:
        return ("none", "pulse") if scene == "aurora" else ("none", "drift", "rotate", "zoom", "pulse")
    return ("none", "pulse") if scene == "fire" else ("none", "drift", "pulse")


def drawn(seed: int, scenes: tuple[str, ...] = tuple(PAINTERS), *, plain: float = 0.35) -> Shot:
    """A shot by chance. `plain` is the share without style, of those without motion, and so on."""
    dice = Dice(seed * 2 + 1)
    scene, palette = dice.pick(list(scenes)), dice.pick(list(ramps_known()))
    motion = "none" if dice.chance(plain) else dice.pick(list(motions(scene)))
    speed = "none" if dice.chance(plain) else dice.pick(["still", "slow", "slow", "fast", "fast"])
    speed = "none" if speed == "still" and motion != "none" else speed
    style = "none" if dice.chance(0.5) else dice.pick(["neon", "soft", "lines", "glitch", "minimal", "dreamy"])
    time = dice.pick(["night", "dawn", "day", "dusk"]) if scene in OUTDOORS and dice.chance(0.5) else "none"
    return Shot(scene, palette, motion, speed, style, time, seed)


def ramps_known() -> tuple[str, ...]:
    """Names of the palettes."""
    from training.scenes.colour import PALETTES

    return tuple(PALETTES)


class Film:
    """A shot that can be painted, frames [first, first + count) at a time; endless."""

    def __init__(self, shot: Shot, fps: float = FPS) -> None:
        dice = Dice(shot.seed)
        self.shot, self.fps = shot, fps
        self.begin, self.way = dice.between(0, 40), (1 if dice.chance(0.5) else -1)
        self.painter: Painter = PAINTERS[shot.scene](dice)

    def canvas(self, frames: Tensor, height: int, width: int) -> Canvas:
        """Coordinates for these frame numbers [T]."""
        seconds = (frames.float() / self.fps).view(-1, 1, 1)
        time = seconds * SPEEDS[self.shot.speed]
        y = (torch.arange(height, device=frames.device) + 0.5) / height - 0.5
        x = ((torch.arange(width, device=frames.device) + 0.5) / width - 0.5) * (width / height)
        flat_x, flat_y = x.view(1, 1, -1), y.view(1, -1, 1)
        flat_x, flat_y = flat_x.expand(1, height, width), flat_y.expand(1, height, width)
        moved_x, moved_y, pan = flat_x.expand(len(frames), -1, -1), flat_y.expand(len(frames), -1, -1), torch.zeros_like(time)
        motion = self.shot.motion
        if motion == "drift":
            pan = self.way * time * 0.16
            moved_x = moved_x if self.shot.scene in PARALLAX else moved_x + pan
        elif motion == "rotate":
            moved_x, moved_y = turned(moved_x, moved_y, self.way * time * 0.45)
        elif motion == "zoom":
            scale = torch.exp(-0.45 * torch.sin(time * 0.55 + 0.2))
            moved_x, moved_y = moved_x * scale, moved_y * scale
        return Canvas(moved_x, moved_y, flat_x, flat_y, time + self.begin, pan)

    def ink(self, frames: Tensor, height: int, width: int) -> Ink:
        return styled_ink(self.drawing(frames, height, width), self.shot.style)

    def drawing(self, frames: Tensor, height: int, width: int) -> Ink:
        """What every palette, style and time of day of this shot has in common."""
        canvas = self.canvas(frames, height, width)
        ink = self.painter(canvas)
        if self.shot.motion == "pulse":
            beat = 0.5 + 0.5 * torch.sin((canvas.time - self.begin) * 2 * math.pi * 0.9)
            ink = Ink(ink.tone * (0.72 + 0.42 * beat), ink.hue, ink.glow * (0.5 + 0.9 * beat))
        return ink


def render(shot: Shot, frames: int, height: int, width: int, *, change: Change | None = None, first: int = 0,
           device: str = "cpu", fps: float = FPS) -> Tensor:  # fmt: skip
    """uint8 [T,H,W,C]."""
    film, after = Film(shot, fps), Film(change.to, fps) if change else None
    parts = []
    for begin in range(first, first + frames, GROUP):
        numbers = torch.arange(begin, min(begin + GROUP, first + frames), device=device)
        if change is None or after is None or int(numbers[-1]) < change.start:
            picture = _lit(film, film.ink(numbers, height, width), 0.0, film, numbers)
        else:
            picture = _between(film, after, change, numbers, height, width)
        parts.append((finished(picture) * 255 + 0.5).to(torch.uint8))
    return torch.cat(parts)


def painted(shots: Sequence[Shot], frames: int, height: int, width: int, *, first: int = 0, fps: float = FPS) -> list[Tensor]:
    """One clip for each shot, as `render` makes it, drawn once: they may differ in palette, style and time of day alone."""
    films, parts = [Film(shot, fps) for shot in shots], [list[Tensor]() for _ in shots]
    for begin in range(first, first + frames, GROUP):
        numbers = torch.arange(begin, min(begin + GROUP, first + frames))
        drawing = films[0].drawing(numbers, height, width)
        for film, made in zip(films, parts, strict=True):
            picture = _lit(film, styled_ink(drawing, film.shot.style), 0.0, film, numbers)
            made.append((finished(picture) * 255 + 0.5).to(torch.uint8))
    return [torch.cat(made) for made in parts]


def _lit(film: Film, ink: Ink, share: float, after: Film, numbers: Tensor) -> Tensor:
    palette = ramps(film.shot.palette)
    palette = palette.mixed(ramps(after.shot.palette), share) if share else palette
    picture = coloured(ink, palette)
    beat = numbers / film.fps * SPEEDS[film.shot.speed]
    one = styled(at_time(picture, film.shot.time), film.shot.style, beat)
    if not share or (film.shot.time, film.shot.style) == (after.shot.time, after.shot.style):
        return one
    two = styled(at_time(picture, after.shot.time), after.shot.style, beat)
    return torch.lerp(one, two, share)


def _between(film: Film, after: Film, change: Change, numbers: Tensor, height: int, width: int) -> Tensor:
    """One frame at a time: the new scene grows through the old one where a soft noise lets it, while the colours blend."""
    seed = film.shot.seed + after.shot.seed
    veil = Noise(Dice(seed), 2.4)
    pictures = []
    for number in (numbers[at : at + 1] for at in range(len(numbers))):
        share = float(((number - change.start + 1) / change.frames).clamp(0, 1))
        if share in (0.0, 1.0):
            only = after if share else film
            pictures.append(_lit(only, only.ink(number, height, width), 0.0, only, number))
            continue
        canvas, old, new = after.canvas(number, height, width), film.ink(number, height, width), after.ink(number, height, width)
        cloud = 0.5 + 0.2 * veil(canvas.flat_x * 0.2 + 0.3, canvas.flat_y * 0.2 + 0.3)
        mask = smooth(-0.35, 0.35, share * 1.7 - 0.35 - cloud)
        blend = Ink(*(torch.lerp(*together(a, b, mask)) for a, b in _pairs(old, new)))
        pictures.append(_lit(film, blend, share, after, number))
    return torch.cat(pictures)


def _pairs(old: Ink, new: Ink) -> tuple[tuple[Tensor, Tensor], ...]:
    return (old.tone, new.tone), (old.hue, new.hue), (old.glow, new.glow)


def altered(shot: Shot, seed: int, scenes: tuple[str, ...] = tuple(PAINTERS)) -> Shot:
    """The next prompt of a stream: half the time only colour, style or pace change, else it is another shot."""
    other = drawn(seed, scenes)
    if Dice(seed).chance(0.5):
        return other
    return replace(shot, palette=other.palette, style=other.style, time=other.time if shot.scene in OUTDOORS else "none")
