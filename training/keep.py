"""Runs that can be stopped at any moment: state on disk, replaced atomically; a slow copy of the weights; a log line."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

EVERY_S = 120.0  # between two checkpoints


class Run:
    """One training run in `folder`: `state.pt` holds everything needed to go on, optimiser included."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.pt"
        folder.mkdir(parents=True, exist_ok=True)
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The last state, if there is one."""
        if not self.path.exists():
            return None
        found: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return found

    def due(self) -> bool:
        """Is it time to save again?"""
        return time.monotonic() - self._saved_at > EVERY_S

    def save(self, state: dict[str, Any]) -> None:
        written = self.path.with_suffix(".new")
        torch.save(state, written)
        written.replace(self.path)
        self._saved_at = time.monotonic()


class Training(Protocol):
    """What `train` drives: a step at a time, saved on demand."""

    step: int
    run: Run

    def once(self) -> tuple[float, ...]:
        """One step; its figures, the loss first."""

    def save(self) -> None: ...


def train(training: Training, name: str, steps: int, *, figures: Sequence[str] = ("loss",), every: int = 20) -> None:
    """To the last step, with a line of means now and then and a checkpoint when one is due.

    Raises SystemExit for a loss that is no number.
    """
    recent: list[tuple[float, ...]] = []
    while training.step < steps:
        recent.append(training.once())
        if not math.isfinite(recent[-1][0]):
            raise SystemExit(
                f"the loss is {recent[-1][0]} at step {training.step}: go on from the last checkpoint with a lower rate"
            )
        if training.step % every == 0:
            means = (sum(values) / len(recent) for values in zip(*recent, strict=True))
            told = " ".join(f"{figure} {mean:.4f}" for figure, mean in zip(figures, means, strict=True))
            say(f"{name} {training.step}/{steps} {told}")
            recent.clear()
        if training.run.due():
            training.save()
    training.save()


class Slow:
    """An exponential average of a network's weights."""

    def __init__(self, net: nn.Module, keep: float) -> None:
        self.keep = keep
        self.weights = {name: p.detach().clone() for name, p in net.named_parameters()}

    @torch.no_grad()
    def follow(self, net: nn.Module, step: int) -> None:
        """One step; quicker at the start, so that the beginning is soon forgotten."""
        keep = min(self.keep, (1 + step) / (10 + step))
        for name, p in net.named_parameters():
            self.weights[name].lerp_(p.detach(), 1 - keep)

    def put_into(self, net: nn.Module) -> None:
        with torch.no_grad():
            for name, p in net.named_parameters():
                p.copy_(self.weights[name])


def half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """For shipping: fp16, contiguous."""
    return {name: t.detach().cpu().half().contiguous() for name, t in tensors.items()}


def say(text: str) -> None:
    """A line of the log, with the time."""
    sys.stdout.write(time.strftime("%H:%M:%S ") + text + "\n")
    sys.stdout.flush()
