"""Weighted prompts and moves between them, as pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scope.contract import Prompts

Blend = tuple[tuple[str, float], ...]  # (text, share); the shares add up to 1


class Transition(BaseModel):
    """A move of the prompt to a target over a number of chunks (contract 4.1); 0 is a cut."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    target_prompts: Prompts
    num_steps: int = Field(4, ge=0, le=10_000)
    temporal_interpolation_method: Literal["linear", "slerp"] = "linear"


def blend(prompts: Prompts) -> Blend:
    """Only the ratio of the weights matters; all-zero means equal."""
    total = sum(item.weight for item in prompts)
    return tuple((item.text, item.weight / total if total > 0 else 1 / len(prompts)) for item in prompts)


@dataclass(slots=True)
class PromptCourse:
    """Which blend is shown, and where it is going: the rules of contract 4.1, without embeddings.

    A transition starts from what is shown. While it runs, repeated copies of its source, its target or itself change nothing;
    any other prompts end it and are shown at once. Prompts given after it are obeyed even when they are the old ones.
    """

    shown: Blend = ()
    target: Blend = ()
    steps_left: int = 0

    def hear(self, prompts: Prompts) -> bool:
        """Prompts that were sent since the last chunk; True if they cut."""
        given = blend(prompts)
        if given == self.shown or (self.steps_left and given == self.target):
            return False
        self.shown, self.steps_left = given, 0
        return True

    def start(self, transition: Transition) -> bool:
        """Set out for other prompts; True if that is news. No steps is a cut."""
        target = blend(transition.target_prompts)
        if self.steps_left and target == self.target:
            return False
        self.target, self.steps_left = target, transition.num_steps
        if not self.steps_left:
            self.shown = target
        return True

    def step(self) -> None:
        """One chunk further; the last step arrives."""
        if self.steps_left:
            self.steps_left -= 1
            if not self.steps_left:
                self.shown = self.target

    def finish(self) -> None:
        """A new shot, or nothing to go through: the transition is over, at its target."""
        if self.steps_left:
            self.shown, self.steps_left = self.target, 0
