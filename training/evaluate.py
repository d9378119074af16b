"""Measure the autoencoder: `python -m training.evaluate WEIGHTS`, or its linear start. Adds a row to bench/results/nano.json.

One clip of every scene, of seeds never trained on, at 576x320. Shape suffixes: B clips, C colours, T frames, H W pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scope.models import checkpoint
from scope.models.tiny_vae import NANO_VAE, TinyVae
from training.autoencoder import HELD_OUT, begun, pixels, psnr
from training.keep import say
from training.linear_start import begin_linear
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


def linear_start() -> TinyVae:
    """The network before training, from the clips the `cpu` plan begins with."""
    torch.manual_seed(0)
    vae = TinyVae(NANO_VAE)
    begin_linear(vae, torch.stack([pixels(render(drawn(n), 8, HEIGHT, HEIGHT, first=n * 7 % 60)) for n in range(40)]))
    return vae


def main() -> None:
    """Add one row to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--name", default="linear start")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    vae = TinyVae(NANO_VAE) if wanted.weights else linear_start()
    if wanted.weights:
        vae.load_state_dict({name: tensor.float() for name, tensor in checkpoint.read(wanted.weights).items()})
    figures = autoencoder_figures(vae)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    about = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "size": [WIDTH, HEIGHT], "frames": FRAMES, "clips": len(PAINTERS)}
    results.setdefault("autoencoder", {})[wanted.name] = about | figures
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    say(f"{wanted.name}: {figures['mean_psnr_db']} dB, worst {figures['worst_psnr_db']}")


if __name__ == "__main__":
    main()
