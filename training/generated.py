"""Figures about generated clips, on prompts and seeds never trained on, made by the product's own stream.

Shape suffixes: B clips, T frames, C colours, H W pixels, P palette colours.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scope.frame import Frame
from scope.pipelines import bundled
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.loading import with_steps
from scope.pipelines.nano import NanoParams
from scope.pipelines.rules import Seeded
from scope.settings import from_environment
from training.autoencoder import HELD_OUT, pixels
from training.judge import SEEN, Judge, glimpses, shares_right
from training.library import apart
from training.scenes import PAINTERS, Shot, caption, drawn, render
from training.scenes.clip import ramps_known
from training.scenes.colour import ramps

HEIGHT, WIDTH = 192, 320
SECOND = 16  # frames
Figures = dict[str, Any]


class Made:
    """The trained family under test."""

    def __init__(self, folder: Path, steps: tuple[int, ...] = (1000, 600), size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
        bundled.FOLDER = folder
        self.steps = steps
        self.parts = bundled.parts(*size, from_environment(), torch.device("cpu"))

    def stream(self, seed: int, video: bool = False) -> DiffusionStream:
        recipe = with_steps(bundled.RECIPE, self.steps)
        return DiffusionStream(recipe, self.parts, "video" if video else "text", Seeded(seed))

    def frames(self, prompt: str, seed: int, source: Iterator[Frame] | None = None, **said: Any) -> Iterator[Frame]:
        """Without end, or as long as the source."""
        stream = self.stream(seed, video=source is not None)
        params = NanoParams.model_validate({"prompts": prompt, **said})
        while True:
            wanted = stream.wants(params)
            given = [frame for _, frame in zip(range(wanted), source or (), strict=False)]
            if len(given) < wanted:
                return
            yield from stream.step(params, given)

    def clip(self, prompt: str, seed: int, frames: int = SEEN, skip: int = 9, **said: Any) -> Tensor:
        """[T, C, H, W] in [-1, 1], after the first chunk."""
        return clip_of(self.frames(prompt, seed, **said), frames, skip)


def clip_of(made: Iterator[Frame], frames: int, skip: int = 0) -> Tensor:
    """The next frames as pixels [T, C, H, W] in [-1, 1]."""
    chosen = islice(made, skip, skip + frames)
    return pixels(torch.stack([torch.from_numpy(np.ascontiguousarray(frame.rgb())) for frame in chosen])).transpose(0, 1)


def asked(count: int, *, unseen: bool) -> list[Shot]:
    """Shots without frills of known pairs of scene and palette, or of pairs kept apart; every scene in turn."""
    dice, found = random.Random(7 + unseen), list[Shot]()
    names = list(PAINTERS)
    while len(found) < count:
        scene = names[len(found) % len(names)]
        choices = [palette for palette in ramps_known() if apart(scene, palette) == unseen]
        if not choices:
            names.remove(scene)
            continue
        shot = drawn(HELD_OUT + 9000 + dice.randrange(1 << 20), (scene,))
        found.append(Shot(scene, dice.choice(choices), shot.motion, shot.speed, "none", "none", shot.seed))
    return found


def obedience(made: Made, judge: Judge, count: int, *, unseen: bool) -> Figures:
    """What the judge reads off clips made to captions, beside what it reads off real clips of the same shots."""
    shots = asked(count, unseen=unseen)
    own = [made.clip(caption(shot, HELD_OUT + n), seed=HELD_OUT + n) for n, shot in enumerate(shots)]
    real = [pixels(render(shot, SEEN, HEIGHT, WIDTH)).transpose(0, 1) for shot in shots]
    colour = [palette_distance(clip, shot.palette) for clip, shot in zip(own, shots, strict=True)]
    return {
        "prompts": len(shots),
        "generated": shares_right(judge, glimpses(torch.stack(own)), shots),
        "real": shares_right(judge, glimpses(torch.stack(real)), shots),
        "palette_distance": round(sum(colour) / len(colour), 4),
    }


def palette_distance(clip_TCHW: Tensor, palette: str) -> float:
    """Mean distance of the pixels, in 0..1 RGB, to the nearest colour of a palette."""
    found = ramps(palette)
    shares = torch.linspace(0, 1, 5)[:, None, None]
    table_PC = torch.lerp(found.first[::32], found.second[::32], shares).flatten(0, 1)
    small = torch.nn.functional.interpolate(clip_TCHW, (24, 40), mode="area")
    return float(torch.cdist(small.permute(0, 2, 3, 1).reshape(-1, 3) / 2 + 0.5, table_PC).amin(1).mean())


def look(clip_TCHW: Tensor, palette: str) -> dict[str, float]:
    """What must not drift: sharpness, saturation, motion, distance to the palette."""
    x = clip_TCHW / 2 + 0.5
    return {
        "sharpness": float(x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean()),
        "saturation": float((x.amax(1) - x.amin(1)).mean()),
        "motion": float(x.diff(dim=0).abs().mean()),
        "palette_distance": palette_distance(clip_TCHW, palette),
    }


def stability(made: Made, shots: list[Shot], frames: int = 3000) -> Figures:
    """The last minute against the first, averaged over some prompts; every second frame pair of a second is looked at."""
    first, last = list[dict[str, float]](), list[dict[str, float]]()
    minute = min(60 * SECOND, frames // 3)
    for number, shot in enumerate(shots):
        run = made.frames(caption(shot, HELD_OUT + number), seed=number)
        clip_of(run, 9)
        first += [look(clip_of(run, 12), shot.palette) for _ in range(minute // 12)]
        for _ in range(frames - 2 * minute):
            next(run)
        last += [look(clip_of(run, 12), shot.palette) for _ in range(minute // 12)]
    mean = [{key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} for rows in (first, last)]
    return {
        "frames": frames,
        "prompts": len(shots),
        "first_minute": {key: round(value, 4) for key, value in mean[0].items()},
        "last_over_first": {key: round(mean[1][key] / value, 3) for key, value in mean[0].items()},
    }


def transition(made: Made, source: Shot, target: Shot, chunks: int = 8) -> Figures:
    """How the palette moves from one prompt's to the other's, and the largest step between frames over the local median."""
    stream, one, two = made.stream(5), caption(source, 1), caption(target, 2)
    still = NanoParams.model_validate({"prompts": one})
    for _ in range(4):
        stream.step(still, ())
    wish = {"transition": {"target_prompts": [{"text": two, "weight": 1}], "num_steps": chunks}}
    path, steps, before = list[float](), list[float](), None
    for number in range(chunks + 6):
        said = NanoParams.model_validate({"prompts": one, **wish}) if not number else NanoParams.model_validate({})
        now = stream.step(said, ())
        clip = clip_of(iter(now), len(now))
        joined = clip if before is None else torch.cat([before, clip])
        steps += joined.diff(dim=0).abs().mean((1, 2, 3)).tolist()
        before = clip[-1:]
        ours, theirs = palette_distance(clip, target.palette), palette_distance(clip, source.palette)
        path.append(theirs / max(1e-6, ours + theirs))
    spikes = [steps[n] / max(1e-6, float(np.median(steps[max(0, n - 12) : n + 13]))) for n in range(len(steps))]
    shares = [round(share, 3) for share in path]
    return {"from": one, "to": two, "share_of_the_way": shares, "largest_step_over_median": round(max(spikes), 2)}


def video_to_video(made: Made, judge: Judge, scales: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)) -> Mapping[str, Figures]:
    """How much of the input's edges is left, and how well the prompt is obeyed, as the noise scale rises."""
    pairs = list(zip(asked(22, unseen=False), reversed(asked(22, unseen=False)), strict=True))
    result: dict[str, Figures] = {}
    for scale in scales:
        clips, kept = list[Tensor](), list[float]()
        for number, (given, wanted) in enumerate(pairs):
            x = render(given, 37 + 12, HEIGHT, WIDTH)
            source = iter([Frame.from_rgb(picture.numpy(), n / SECOND) for n, picture in enumerate(x)])
            run = made.frames(caption(wanted, number), number, source, noise_scale=scale, noise_controller=False)
            clip = clip_of(run, SEEN, 9)
            clips.append(clip)
            kept.append(edges_alike(clip, pixels(x[9 : 9 + SEEN]).transpose(0, 1)))
        read = shares_right(judge, glimpses(torch.stack(clips)), [wanted for _, wanted in pairs])
        result[str(scale)] = {
            "edge_correlation": round(sum(kept) / len(kept), 3),
            "scene": read["scene"],
            "palette": read["palette"],
        }
    return result


def edges_alike(a_TCHW: Tensor, b_TCHW: Tensor) -> float:
    """Correlation of two clips' edge strength."""
    one, two = (_edges(x).flatten() for x in (a_TCHW, b_TCHW))
    return float(torch.corrcoef(torch.stack([one, two]))[0, 1])


def _edges(x_TCHW: Tensor) -> Tensor:
    grey = torch.nn.functional.avg_pool2d(x_TCHW.mean(1, keepdim=True), 4)
    return (grey.diff(dim=-1)[..., :-1, :].square() + grey.diff(dim=-2)[..., :-1].square()).sqrt()
