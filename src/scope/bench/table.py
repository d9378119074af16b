"""A report as people read it, and as a file."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from scope.bench.measure import Report

ROWS = {  # name of a figure -> what it is called, its unit, digits behind the point
    "fps": ("frames a second, flat out", "", 1),
    "processor_ms": ("processor time of a frame, all threads", "ms", 1),
    "live_fps": ("frames a second, live (60 at most)", "", 1),
    "interval_p50_ms": ("between two pictures, median", "ms", 1),
    "interval_p99_ms": ("between two pictures, p99", "ms", 1),
    "control_p50_ms": ("from a prompt to its picture, median", "ms", 0),
    "control_worst_ms": ("from a prompt to its picture, worst", "ms", 0),
    "chunk_ms": ("one chunk, live", "ms", 0),
    "frames_per_chunk": ("frames in a chunk", "", 1),
    "first_picture_cold_s": ("first picture, from the command", "s", 2),
    "first_picture_warm_s": ("first picture, loaded", "s", 2),
    "peak_device_mib": ("most memory of the device", "MiB", 0),
    "planned_mib": ("... as it was planned", "MiB", 0),
    "resident_mib": ("memory of the process", "MiB", 0),
}


def table(report: Report) -> str:
    """One line per figure; stages per chunk, with their share of one frame."""
    setup, options = report.setup, report.setup["options"]
    size = f" {options['width']}x{options['height']}" if "width" in options else ""
    weights = " ".join(str(options[key]) for key in ("weights", "random_size", "vae_type", "quantization") if options.get(key))
    about = ", ".join(part for part in (f"{setup['pipeline']}{size}", setup["mode"], weights) if part)
    lines = [f"{about}, on {report.machine['device']}"]
    for name, (words, unit, digits) in ROWS.items():
        value = report.figures.get(name)
        if value is not None:
            lines.append(f"  {words:<40}{value:>12.{digits}f} {unit}".rstrip())
    frames = report.figures["frames_per_chunk"] or 1.0
    lines.append(f"  {'of a chunk':<40}{'ms':>12}{'ms a frame':>14}")
    lines += [f"    {name:<38}{ms:>12.1f}{ms / frames:>14.2f}" for name, ms in report.stages_ms.items()]
    return "\n".join(lines)


def write(report: Report, path: Path) -> None:
    """As JSON, with when and where it was measured."""
    machine = report.machine | {"python": sys.version.split()[0], "system": platform.platform(), "processor": platform.machine()}
    head = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head | report.as_json() | {"machine": machine}, indent=1) + "\n")
