"""One recorded case: what the original was given and what it answered; and the ledger of how near we came.

A case is `NAME.json`, usually beside `NAME.safetensors`. Every size, seed and option is read from the JSON, so that sets with
other sizes run through the same tests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Row:
    """The worst comparison of one case: `worst` is the largest |a - b|, allowed is `atol + rtol * |b|`."""

    case: str
    worst: float
    atol: float
    rtol: float
    passed: bool
    compared: int  # number of tensors


@dataclass(slots=True)
class Ledger:
    """Every comparison made in this run, one row per case."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, case: str, worst: float, *, atol: float, rtol: float, passed: bool) -> None:
        old = self.rows.get(case, Row(case, 0.0, atol, rtol, True, 0))
        nearer = worst <= old.worst and old.compared > 0
        kept = (old.worst, old.atol, old.rtol) if nearer else (worst, atol, rtol)
        self.rows[case] = Row(case, *kept, old.passed and passed, old.compared + 1)


@dataclass(frozen=True)
class Case:
    """`path` is the JSON file; tensors are loaded on first use and exactly as stored (bfloat16 stays bfloat16)."""

    path: Path
    label: str  # path below the golden directory, without suffix
    ledger: Ledger

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The whole JSON."""
        loaded: dict[str, Any] = json.loads(self.path.read_text())
        return loaded

    @property
    def config(self) -> dict[str, Any]:
        """The JSON's `config`."""
        config: dict[str, Any] = self.meta["config"]
        return config

    @cached_property
    def tensors(self) -> Tensors:
        file = self.path.with_name(self.name + ".safetensors")
        return load_file(file) if file.exists() else {}

    def floats(self) -> Tensors:
        """The tensors with every floating one widened to float32 (what golden/stream asks for)."""
        return {k: v.float() if v.is_floating_point() else v for k, v in self.tensors.items()}

    def sibling(self, name: str) -> Case:
        """Another case of the same set, e.g. the weights a config names."""
        path = self.path.with_name(name + ".json")
        return Case(path, str(Path(self.label).with_name(name)), self.ledger)

    def close(self, actual: Tensor, expected: Tensor | str, *, atol: float, rtol: float = 0.0) -> None:
        """Record the largest difference and fail if any element is outside `atol + rtol * |expected|`, or a shape differs.

        `expected` may be the name of one of this case's tensors. Floating tensors are compared in float64; with atol = rtol = 0
        they must be equal. A NaN on either side fails.
        """
        name = expected if isinstance(expected, str) else ""
        wanted = self.tensors[expected] if isinstance(expected, str) else expected
        assert actual.shape == wanted.shape, f"{self.name} {name}: shape {tuple(actual.shape)}, recorded {tuple(wanted.shape)}"
        gap = (actual.detach().double() - wanted.double()).abs()
        passed = bool((gap <= atol + rtol * wanted.double().abs()).all())
        worst = float(gap.max()) if gap.numel() else 0.0
        self.ledger.add(self.label, worst, atol=atol, rtol=rtol, passed=passed)
        assert passed, f"{self.name} {name}: off by {worst:.3g}, allowed {atol:g} + {rtol:g} |x|"

    def equal(self, actual: object, expected: object) -> None:
        """Record and require equality of plain values (integers, strings, lists, key tables)."""
        same = actual == expected
        self.ledger.add(self.label, 0.0 if same else float("inf"), atol=0.0, rtol=0.0, passed=same)
        assert same, f"{self.name}: {actual!r} is not the recorded {expected!r}"


def find_cases(root: Path) -> list[Path]:
    """Every case's JSON under `root`, whatever the folders are called; manifests are not cases."""
    return sorted(p for p in root.rglob("*.json") if p.name != "manifest.json")
