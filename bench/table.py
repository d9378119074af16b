"""Figures of several runs: medians, percentiles, a table on the terminal, a file for the record."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

Figures = Mapping[str, float | None]


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def medians(runs: Sequence[Figures]) -> dict[str, float | None]:
    """Per figure, the median of the runs that have it."""
    names = list(dict.fromkeys(name for run in runs for name in run))
    found = {name: [value for run in runs if (value := run.get(name)) is not None] for name in names}
    return {name: median(values) if values else None for name, values in found.items()}


def show(title: str, rows: Mapping[str, Figures]) -> None:
    """One line per row, one column per figure."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max([len(name) for name in rows] + [len(title)])
    print(f"\n{title:<{width}}  " + "  ".join(columns))
    for name, row in rows.items():
        print(f"{name:<{width}}  " + "  ".join(_cell(row.get(column), len(column)) for column in columns))


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.1f}':>{width}}"


def record(path: Path, results: Mapping[str, Any]) -> None:
    """The results with when and where they were measured."""
    from scope import __version__

    machine = {"python": sys.version.split()[0], "system": platform.platform(), "processor": platform.machine()}
    head = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "scope": __version__, "machine": machine}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head | dict(results), indent=1) + "\n")
