"""Memory and time of loading a 1.3B checkpoint of random weights: `python -m bench.loading [--json FILE]`.

The file (2.8 GB in bfloat16, in its published layout) is written to a temporary folder, then read by a fresh process that
reports its peak resident memory. Goal: at most 1.15 times the size of the model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from bench.table import Figures, record, show
from scope.models import checkpoint
from scope.models.wan import WAN_1_3B, WanTransformer
from scope.models.weights import on_meta

GOAL = 1.15
READER = """
import json, sys, time, torch
from pathlib import Path
from scope.models.wan import WAN_1_3B, WanTransformer
from scope.models.weights import load, on_meta
def resident(what):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(what))
torch.zeros(1).bfloat16().float()
before, began = resident("VmRSS"), time.monotonic()
model = on_meta(lambda: WanTransformer(WAN_1_3B))
report = load(model, Path(sys.argv[1]), dtype=torch.bfloat16)
took = time.monotonic() - began
size = sum(p.numel() * p.element_size() for p in model.parameters())
print(json.dumps({"seconds": took, "model_mib": size / 2**20, "peak_mib": (resident("VmHWM") - before) / 2**20}))
"""
LAYOUTS = {".safetensors": None, ".pt": "generator"}  # ending -> dictionary the tensors lie in


def write(folder: Path, ending: str) -> Path:
    """A checkpoint as Self-Forcing and its children publish it: names begin with "model."."""
    shapes = on_meta(lambda: WanTransformer(WAN_1_3B)).state_dict()
    draw = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(1, generator=draw).bfloat16().expand(like.shape).clone() for name, like in shapes.items()}
    path = folder / f"model{ending}"
    checkpoint.write(weights, path, nest=LAYOUTS[ending], prefix="model.")
    return path


def measure(ending: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), ending)
        said = subprocess.run([sys.executable, "-c", READER, path], capture_output=True, text=True, check=True)
    found: dict[str, float | None] = json.loads(said.stdout)
    assert found["peak_mib"] is not None and found["model_mib"] is not None
    return found | {"ratio": found["peak_mib"] / found["model_mib"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    rows = {ending: measure(ending) for ending in LAYOUTS}
    show("loading 1.3B", rows)
    print(f"\ngoal: ratio at most {GOAL}")
    if given.json:
        record(given.json, {"rows": rows, "goal": {"ratio": GOAL}})


if __name__ == "__main__":
    main()
