"""A classifier that reads scene, palette, motion, speed and style off a clip: `python -m training.judge --vae FILE`.

It learns from clips of the rule-made data after they went through the autoencoder, and is itself tested on fresh clips, plain
and through the autoencoder: what it reads there is the ceiling of whatever is measured with it.
Shape suffixes: B clips, T frames, C colours, H W rows and columns.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.models.tiny_vae import TinyVae
from training.autoencoder import HELD_OUT, pixels
from training.flow import Library
from training.keep import say
from training.library import TIME, opened
from training.scenes import PAINTERS, Shot, render
from training.scenes.clip import SPEEDS, drawn, ramps_known

SEEN = 24  # frames of a clip that are looked at
AT = (0, 2, 6, 12, 18, 23)  # which of them
SIZE = (48, 80)  # rows and columns it looks at
SLOTS: dict[str, tuple[str, ...]] = {
    "scene": tuple(PAINTERS),
    "palette": ramps_known(),
    "motion": ("none", "drift", "rotate", "zoom", "pulse"),
    "speed": tuple(SPEEDS),
    "style": ("none", "neon", "soft", "lines", "glitch", "minimal", "dreamy"),
}


def glimpses(clip_BTCHW: Tensor) -> Tensor:
    """[B, channels, h, w]: six small frames, and how each differs from the one before."""
    chosen = clip_BTCHW[:, list(AT)]
    small = F.interpolate(chosen.flatten(0, 1), SIZE, mode="area").reshape(*chosen.shape[:3], *SIZE)
    return torch.cat([small.flatten(1, 2), 3 * small.diff(dim=1).flatten(1, 2)], 1)


class Judge(nn.Module):
    """A small convolutional network with one answer for each slot."""

    def __init__(self, wide: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = ((33, wide), (wide, 2 * wide), (2 * wide, 4 * wide), (4 * wide, 4 * wide))
        for inputs, outputs in sizes:
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(True)]
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({slot: nn.Linear(8 * wide, len(names)) for slot, names in SLOTS.items()})

    def forward(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        y = self.body(x_BCHW)
        pooled = torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)
        return {slot: head(pooled) for slot, head in self.heads.items()}


def answers(shots: list[Shot]) -> dict[str, Tensor]:
    """What a perfect judge would say."""
    return {slot: torch.tensor([names.index(getattr(shot, slot)) for shot in shots]) for slot, names in SLOTS.items()}


@torch.inference_mode()
def looked_at(library: Library, vae: TinyVae) -> tuple[Tensor, list[Shot]]:
    """Glimpses of every clip in the library whose prompt does not change, at two places, half precision."""
    seen, shots = list[Tensor](), list[Shot]()
    latents = SEEN // TIME
    for shard in library.shards:
        for z, entry in zip(shard.z_NFCHW, shard.entries, strict=True):
            if entry.then is not None:
                continue
            made = vae.frames(z[None].float(), vae.open()).clamp(0, 1) * 2 - 1
            for first in (0, (len(z) - latents) * TIME):
                seen.append(glimpses(made[:, first : first + SEEN]).half())
                shots.append(entry.shot)
    return torch.cat(seen), shots


def taught(x_BCHW: Tensor, shots: list[Shot], steps: int, batch: int = 64) -> Judge:
    """A judge trained for so many steps; mirrored and slightly brightened copies are as good as the clip."""
    torch.manual_seed(1)
    judge, truth = Judge(), answers(shots)
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    dice = random.Random(1)
    for step in range(steps):
        chosen = torch.randint(len(x_BCHW), (batch,))
        x = x_BCHW[chosen].float()
        x = x.flip(-1) if dice.random() < 0.5 else x
        x = x + 0.03 * torch.randn_like(x)
        said = judge(x)
        loss = sum((F.cross_entropy(said[slot], truth[slot][chosen]) for slot in SLOTS), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        plan.step()
        if step % 100 == 99:
            say(f"judge {step + 1}/{steps} loss {float(loss.detach()):.3f}")
    return judge.eval()


@torch.inference_mode()
def shares_right(judge: Judge, x_BCHW: Tensor, shots: list[Shot]) -> dict[str, float]:
    """How often it reads a slot right."""
    said, truth = judge(x_BCHW.float()), answers(shots)
    return {slot: round(float((said[slot].argmax(1) == truth[slot]).float().mean()), 3) for slot in SLOTS}


@torch.inference_mode()
def tested(judge: Judge, vae: TinyVae, count: int, height: int = 192, width: int = 320) -> dict[str, dict[str, float]]:
    """Its accuracy on clips of held-out seeds: as they are, and through the autoencoder."""
    names, plain, coded, shots = list(PAINTERS), list[Tensor](), list[Tensor](), list[Shot]()
    for number in range(count):
        shot = drawn(HELD_OUT + 500 + number, (names[number % len(names)],))
        clip = pixels(render(shot, SEEN, height, width, first=number * 5 % 60))[None]
        shots.append(shot)
        plain.append(glimpses(clip.transpose(1, 2)))
        coded.append(glimpses(vae.frames(vae.encode(clip), vae.open()).clamp(0, 1) * 2 - 1))
    return {
        "clips": shares_right(judge, torch.cat(plain), shots),
        "clips_through_the_autoencoder": shares_right(judge, torch.cat(coded), shots),
    }


def main() -> None:
    """Teach one and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--library", type=Path, default=Path("/tmp/nano/library"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/nano/judge.pt"))
    parser.add_argument("--steps", type=int, default=1200)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    vae = opened(wanted.vae)
    x, shots = looked_at(Library(wanted.library), vae)
    say(f"{len(shots)} clips to learn from")
    judge = taught(x, shots, wanted.steps)
    torch.save(judge.state_dict(), wanted.out)
    for what, found in tested(judge, vae, 88).items():
        say(f"{what}: {found}")


if __name__ == "__main__":
    main()
