"""Pictures of what the bundled family makes, for docs/images: `python -m training.sheets src/scope/weights`.

Prompts and seeds that were not trained on. Shape suffixes: T frames, C colours, H W pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from scope.frame import Frame
from scope.pipelines.nano import NanoParams
from training.generated import HEIGHT, WIDTH, Made, clip_of
from training.keep import say
from training.scenes import Shot, render
from training.sheet import sheet

PROMPTS = (
    "blue ocean at night",
    "red fire, fast",
    "green aurora",
    "purple nebula, slow",
    "golden city at dusk",
    "rainbow kaleidoscope, rotating",
    "white snow",
    "teal tunnel, zooming in",
    "pink flower, pulsing",
    "orange desert dunes",
    "emerald forest at dawn",
    "black and white spiral",
    "cyberpunk particles",
    "sunset clouds, drifting",
    "blue and pink plasma",
    "silver rain",
    "earthy mountains",
    "crimson fractal",
    "azure underwater",
    "violet flowing silk",
    "minimal geometric shapes in gold",
    "dreamy galaxy",
    "neon green swirl",
    "watercolour sea, calm",
)
TIMES = 6


def shown(clip_TCHW: Tensor) -> Tensor:
    """uint8 [T, H, W, C], half as large."""
    half = torch.nn.functional.interpolate(clip_TCHW, scale_factor=0.5, mode="area")
    return ((half.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def prompts(made: Made) -> list[tuple[str, Tensor]]:
    """Each prompt over ten seconds."""
    return [(text, shown(clip_of(made.frames(text, seed=n), 160))) for n, text in enumerate(PROMPTS)]


def transition(made: Made, source: str, target: str, chunks: int = 8) -> list[tuple[str, Tensor]]:
    """From one prompt to another, a frame of each chunk."""
    stream = made.stream(3)
    wish = {"transition": {"target_prompts": [{"text": target, "weight": 1}], "num_steps": chunks}}
    pictures = list[Tensor]()
    for number in range(-2, chunks + 2):
        said = NanoParams.model_validate({"prompts": source, **(wish if number == 0 else {})} if number <= 0 else {})
        pictures.append(clip_of(iter(stream.step(said, ())), 1))
    return [(f"{source} to {target}", shown(torch.cat(pictures)))]


def painted_over(made: Made, prompt: str) -> list[tuple[str, Tensor]]:
    """A clip, and what becomes of it as the noise scale rises."""
    x = render(Shot("mountains", "mono", motion="drift", seed=4), 61, HEIGHT, WIDTH)
    frames = [Frame.from_rgb(picture.numpy(), n / 16) for n, picture in enumerate(x)]
    rows = [("input", shown(x[:49].permute(0, 3, 1, 2) / 127.5 - 1))]
    for scale in (0.3, 0.5, 0.7, 0.9):
        run = made.frames(prompt, 2, iter(frames), noise_scale=scale, noise_controller=False)
        rows.append((f"{prompt}, noise scale {scale}", shown(clip_of(run, 49))))
    return rows


def main() -> None:
    """Write all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    made = Made(wanted.weights)
    sheet(prompts(made), wanted.out / "nano-prompts.jpg", columns=TIMES, across=2)
    moves = [*transition(made, "blue ocean", "red fire"), *transition(made, "green aurora", "golden city")]
    sheet(moves, wanted.out / "nano-transitions.jpg", columns=12)
    sheet(painted_over(made, "sunset clouds"), wanted.out / "nano-video.jpg", columns=TIMES)
    say(f"sheets in {wanted.out}")


if __name__ == "__main__":
    main()
