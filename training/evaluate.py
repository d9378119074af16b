"""Measure what was trained; each run writes its row into bench/results/nano.json.

`python -m training.evaluate autoencoder nano-vae.safetensors`: one clip of every scene, of seeds never trained on, at 576x320.
`python -m training.evaluate generated FOLDER --judge judge.pt`: obedience, stability, transitions, video-to-video (generated.py).
Shape suffixes: B clips, C colours, T frames, H W pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scope.models.tiny_vae import TinyVae
from training.autoencoder import HELD_OUT, begun, pixels, psnr
from training.generated import Made, asked, obedience, stability, transition, video_to_video
from training.judge import Judge, tested
from training.keep import say
from training.library import opened
from training.scenes import PAINTERS, drawn, render

HEIGHT, WIDTH, FRAMES = 320, 576, 12
RESULTS = Path("bench/results/nano.json")


def border_jump(x_BTCHW: Tensor, every: int) -> float:
    """Mean frame difference across block borders, over the mean inside blocks; 1 is no pulse."""
    steps = x_BTCHW.diff(dim=1).abs().mean((0, 2, 3, 4))
    border = (torch.arange(len(steps)) + 1) % every == 0
    return float(steps[border].mean() / steps[~border].mean().clamp_min(1e-6))


@torch.inference_mode()
def autoencoder_figures(vae: TinyVae) -> dict[str, Any]:
    """PSNR by scene, cost, and the pulse at block borders of moving clips, beside that of the clips themselves."""
    by_scene, cost_s, jumps = {}, 0.0, []
    for number, scene in enumerate(PAINTERS):
        x_BCTHW = pixels(render(drawn(HELD_OUT + number, (scene,)), FRAMES, HEIGHT, WIDTH))[None]
        began = time.process_time()
        made = vae.decode(vae.encode(x_BCTHW), begun(vae))
        cost_s += time.process_time() - began
        by_scene[scene] = round(psnr(made, x_BCTHW), 2)
        jumps.append((border_jump(made, 4), border_jump(x_BCTHW.transpose(1, 2), 4)))
    middle = [float(torch.tensor(side).median()) for side in zip(*jumps, strict=True)]
    return {
        "mean_psnr_db": round(sum(by_scene.values()) / len(by_scene), 2),
        "worst_psnr_db": min(by_scene.values()),
        "psnr_db_by_scene": by_scene,
        "border_jump_median": round(middle[0], 3),
        "border_jump_median_of_the_clips": round(middle[1], 3),
        "encode_and_decode_cpu_ms_per_frame": round(cost_s / len(by_scene) / FRAMES * 1e3, 2),
    }


def family_figures(folder: Path, judge: Judge, name: str, *, prompts: int, frames: int) -> dict[str, Any]:
    """Everything about the family in a folder, at the default number of steps; obedience at one and four as well."""
    found: dict[str, Any] = {}
    for steps in ((1000,), (1000, 600), (1000, 850, 600, 300)):
        made = Made(folder, steps)
        found[f"{len(steps)} steps"] = {
            "known_pairs": obedience(made, judge, prompts, unseen=False),
            "unseen_pairs": obedience(made, judge, prompts // 2, unseen=True),
        }
        say(f"{name}, {len(steps)} steps: {found[f'{len(steps)} steps']}")
    made = Made(folder)
    found["stability"] = stability(made, asked(6, unseen=False), frames)
    found["transitions"] = [
        transition(made, *pair) for pair in zip(asked(4, unseen=False), asked(9, unseen=False)[5:], strict=True)
    ]
    found["video_to_video"] = video_to_video(made, judge)
    return found


def judged(path: Path) -> Judge:
    judge = Judge()
    judge.load_state_dict(torch.load(path, weights_only=True))
    return judge.eval()


def main() -> None:
    """Add one row to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("autoencoder", "generated"))
    parser.add_argument("weights", type=Path, help="a file for the autoencoder, the folder of the family's three files else")
    parser.add_argument("--name", default="bundled")
    parser.add_argument("--judge", type=Path, default=Path("/tmp/nano/judge.pt"))
    parser.add_argument("--prompts", type=int, default=88)
    parser.add_argument("--frames", type=int, default=3000, help="of the run for stability")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    about: dict[str, Any] = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    if wanted.what == "autoencoder":
        figures = autoencoder_figures(opened(wanted.weights))
        about |= {"size": [WIDTH, HEIGHT], "frames": FRAMES, "clips": len(PAINTERS)}
    else:
        judge = judged(wanted.judge)
        figures = {"judge": tested(judge, opened(wanted.weights / "nano-vae.safetensors"), wanted.prompts)}
        figures |= family_figures(wanted.weights, judge, wanted.name, prompts=wanted.prompts, frames=wanted.frames)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.setdefault(wanted.what, {})[wanted.name] = about | figures
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    say(json.dumps(figures))


if __name__ == "__main__":
    main()
