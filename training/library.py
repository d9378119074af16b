"""Clips as latents, with what they show: `python -m training.library --plan cpu --vae FILE --out /tmp/nano/library`.

What the transformer learns from. A shard follows from its number alone, so a stopped run goes on with the next one.
Shape suffixes: N clips, F latent frames, C channels, H W latent rows and columns.
"""

from __future__ import annotations

import argparse
import random
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scope.models.checkpoint import read
from scope.models.tiny_vae import NANO_VAE, TinyVae
from training.autoencoder import pixels
from training.keep import say
from training.plan import LIBRARY, LibraryPlan
from training.scenes import PAINTERS, Change, Shot, altered, drawn, render
from training.scenes.clip import OUTDOORS, painted

TIME = 4  # frames per latent
CHUNK = 3  # latents per prompt change
APART = 12  # one of so many pairs of scene and palette is never trained on
TAKES = 4  # clips from one drawing
CHANGING = 0.15  # share of clips in which the prompt changes


def apart(scene: str, palette: str) -> bool:
    """Whether this pair is kept for the evaluation: each of the two is well known, but not together."""
    return zlib.crc32(f"{scene} {palette}".encode()) % APART == 0


class Entry(NamedTuple):
    """What a clip shows: a shot, and perhaps another from chunk `change` on."""

    shot: Shot
    then: Shot | None
    change: int

    def at(self, chunk: int) -> Shot:
        return self.then if self.then is not None and chunk >= self.change else self.shot


@dataclass(slots=True)
class Shard:
    """Clips of one size."""

    z_NFCHW: Tensor
    entries: list[Entry]

    def save(self, path: Path) -> None:
        rows = [(asdict(e.shot), asdict(e.then) if e.then else None, e.change) for e in self.entries]
        new = path.with_suffix(".new")
        torch.save({"z": self.z_NFCHW, "rows": rows}, new)
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> Shard:
        found: dict[str, Any] = torch.load(path, weights_only=True)
        return cls(found["z"], [Entry(Shot(**a), Shot(**b) if b else None, c) for a, b, c in found["rows"]])


def shots(seed: int) -> list[Shot]:
    """Different looks of one drawing, none of them kept apart."""
    dice = random.Random(seed)
    names = list(PAINTERS)
    first = drawn(seed, (names[seed % len(names)],))
    found: list[Shot] = []
    while len(found) < TAKES:
        other = drawn(dice.randrange(1 << 30), (first.scene,))
        style = other.style if dice.random() < 0.6 else "none"
        shot = replace(first, palette=other.palette, style=style, time=other.time if first.scene in OUTDOORS else "none")
        if not apart(shot.scene, shot.palette):
            found.append(shot)
    return found


def changing(seed: int, plan: LibraryPlan) -> tuple[Entry, Tensor]:
    """A clip whose prompt changes at a chunk's start, over one to three chunks."""
    dice = random.Random(seed)
    first = next(s for n in range(100) if not apart((s := drawn(seed * 100 + n)).scene, s.palette))
    then = next(s for n in range(100) if not apart((s := altered(first, dice.randrange(1 << 30))).scene, s.palette))
    chunk = dice.randrange(1, plan.latents // CHUNK)
    change = Change(then, chunk * CHUNK * TIME, dice.choice((4, 12, 24)))
    return Entry(first, then, chunk), render(first, plan.latents * TIME, plan.height, plan.width, change=change)


@torch.inference_mode()
def shard(number: int, plan: LibraryPlan, vae: TinyVae) -> Shard:
    """Clips [number * plan.shard, ...)."""
    entries: list[Entry] = []
    latents: list[Tensor] = []
    drawing = number * plan.shard
    while len(entries) < plan.shard:
        if random.Random(drawing).random() < CHANGING * TAKES / (1 + CHANGING * (TAKES - 1)):
            made = [changing(drawing, plan)]
        else:
            looks = shots(drawing)
            clips = painted(looks, plan.latents * TIME, plan.height, plan.width, first=drawing * 7 % 90)
            made = [(Entry(look, None, 0), clip) for look, clip in zip(looks, clips, strict=True)]
        for entry, clip in made[: plan.shard - len(entries)]:
            entries.append(entry)
            latents.append(vae.encode(pixels(clip)[None])[0].half())
        drawing += 1
    return Shard(torch.stack(latents), entries)


def opened(path: Path) -> TinyVae:
    """The nano autoencoder from its file."""
    vae = TinyVae(NANO_VAE)
    vae.load_state_dict({name: tensor.float() for name, tensor in read(path).items()})
    return vae.eval().requires_grad_(False)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="cpu", choices=LIBRARY)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("/tmp/nano/library"))
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    plan, vae = LIBRARY[wanted.plan], opened(wanted.vae)
    wanted.out.mkdir(parents=True, exist_ok=True)
    for number in range(plan.shards):
        path = wanted.out / f"{plan.height}x{plan.width}-{number:04}.pt"
        if not path.exists():
            shard(number, plan, vae).save(path)
            say(f"library {path.name}: {number + 1}/{plan.shards}")


if __name__ == "__main__":
    main()
