"""Weighted prompts and moves between them, as pure values: the rules of contract 4.1, without embeddings and without a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scope.contract import Prompts

Blend = tuple[tuple[str, float], ...]  # (text, share); the shares add up to 1
REPEAT_S = 1.0  # prompts that come again within this time are repeated, not meant
LONGEST_STRIDE_S = 3.0  # more time than this between two chunks was a pause, and does not count as moving
MOST_OLD = 8


class Transition(BaseModel):
    """A move of the prompt to a target (contract 4.1); nothing to go is a cut, no target is no wish.

    `num_steps` counts `unit`: chunks as the original does, or seconds, or beats at `bpm`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    target_prompts: Prompts
    num_steps: int | float = Field(4, ge=0, le=10_000)
    unit: Literal["chunks", "seconds", "beats"] = "chunks"
    bpm: Annotated[float, Field(ge=20, le=400)] = 120.0
    temporal_interpolation_method: Literal["linear", "slerp"] = "linear"

    @property
    def chunks(self) -> int | None:
        """Points on the way, source and target included; None where time decides."""
        return round(self.num_steps) if self.unit == "chunks" else None

    @property
    def length_s(self) -> float:
        """How long it takes, where time decides."""
        return self.num_steps * (60 / self.bpm if self.unit == "beats" else 1.0)


def blend(prompts: Prompts) -> Blend:
    """Only the ratio of the weights matters; all-zero means equal."""
    total = sum(item.weight for item in prompts)
    return tuple((item.text, item.weight / total if total > 0 else 1 / len(prompts)) for item in prompts)


@dataclass(slots=True)
class PromptCourse:
    """Which blend is shown, and where it is going.

    A transition starts from what is shown. While it runs, copies of what it came from, of its target or of itself change
    nothing; any other prompts end it and are shown at once. After it, old prompts are obeyed again, unless a client has been
    repeating them all the time: one that says everything thirty times a second means nothing by it (contract 12.3).
    """

    shown: Blend = ()  # while moving: where the move began
    target: Blend = ()
    wish: Transition | None = None  # the move under way
    share: float = 1.0  # how much of the way is done
    _old: tuple[Blend, ...] = ()  # what the move came from
    _repeated_s: float | None = None  # when one of those was last heard
    _taken: int = 0  # chunks on the way
    _moved_s: float = 0.0  # seconds on the way
    _stride_s: float = 0.0  # from the last chunk to the one before
    _now_s: float | None = None

    @property
    def moving(self) -> bool:
        return self.wish is not None

    def hear(self, prompts: Prompts, now_s: float) -> bool:
        """Prompts that were sent since the last chunk; True if they cut."""
        given = blend(prompts)
        stale = given in self._old and (self.moving or self._repeats(now_s))
        if given == self.target if self.moving else given == self.shown:
            self._repeated_s = None
            return False
        if stale:
            self._repeated_s = now_s
            return False
        self.shown, self.wish, self._old, self._repeated_s = given, None, (), None
        return True

    def _repeats(self, now_s: float) -> bool:
        return self._repeated_s is not None and now_s - self._repeated_s < max(REPEAT_S, 2.5 * self._stride_s)

    def start(self, wish: Transition, beside: Prompts = ()) -> bool:
        """Set out for other prompts; True if that is news. Prompts said `beside` it name where it begins, and start nothing."""
        target = blend(wish.target_prompts)
        if not target or (self.moving and target == self.target):
            return False
        came_from = (self.target if self.moving else self.shown, self.shown, blend(beside))
        self._old = tuple(dict.fromkeys((*came_from, *(self._old if self.moving else ()))))[:MOST_OLD]
        self.target, self.wish, self._repeated_s = target, wish, None
        self.share, self._taken, self._moved_s = 0.0, 0, 0.0
        return True

    def tick(self, now_s: float) -> None:
        """A chunk begins; call once for each."""
        self._stride_s = 0.0 if self._now_s is None else min(now_s - self._now_s, LONGEST_STRIDE_S)
        self._now_s = now_s

    def step(self) -> float:
        """One chunk further; gives how much of the way is done, 0 to 1. The last step arrives."""
        if self.wish is not None:
            self._taken += 1
            self._moved_s += self._stride_s
            self.share = self._share(self.wish)
            if self.share >= 1.0:
                self.finish()
        return self.share

    def _share(self, wish: Transition) -> float:
        if wish.chunks is not None:
            return (self._taken - 1) / (wish.chunks - 1) if wish.chunks > 1 else 1.0
        return min(1.0, self._moved_s / wish.length_s) if wish.length_s > 0 else 1.0

    def finish(self) -> None:
        """A new shot, or nothing to go through: the move is over, at its target."""
        if self.wish is not None:
            self.shown, self.wish, self.share = self.target, None, 1.0
