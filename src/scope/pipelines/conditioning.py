"""Which prompt embedding the next chunk runs under: blends, cuts and transitions (contract 4.1), and what is said about them.

`PromptCourse` has the rules; here are the embeddings. A transition starts from the embedding in use, so it may be interrupted at
any point without a jump. Shape suffixes: B batch, L rows, D channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scope.contract import News, Prompts
from scope.models.blend import RIGHT, UNCHANGED, Method, Rules, slerp
from scope.models.blend import blend as mix
from scope.pipelines.prompt import Blend, PromptCourse, Transition
from scope.pipelines.words import Words


class Conditioning:
    """The prompt side of one stream."""

    def __init__(self, words: Words, rules: Rules = RIGHT) -> None:
        self._words, self._rules = words, rules
        self._course = PromptCourse()
        self._method: Method = "linear"
        self.current: Tensor | None = None
        self._awaited: Blend | None = None  # what to go to, while its embeddings are being made
        self._ends: tuple[Tensor, Tensor] | None = None  # of the transition under way
        self._news: list[News] = []

    @property
    def crossing(self) -> bool:
        """Whether a transition has chunks to go."""
        return self._course.moving

    def hear(self, prompts: Prompts, method: Method = "linear", now_s: float = 0.0) -> None:
        """Prompts sent since the last chunk."""
        other_method = method != self._method and not self.crossing and len(self._course.shown) == 2
        self._method = method
        was = self._course.wish
        if self._course.hear(prompts, now_s) or other_method or self.current is None:
            self._tell_superseded(was)
            self._awaited, self._ends = self._course.shown, None

    def start(self, wish: Transition, method: Method = "linear", beside: Prompts = ()) -> None:
        """Go to other prompts, one point per chunk."""
        self._method = method
        was = self._course.wish
        if self._course.start(wish, beside):
            self._tell_superseded(was)
            self._awaited, self._ends = self._course.target, None

    def step(self, now_s: float = 0.0, *, wait: bool = False) -> bool:
        """On to the coming chunk; True if its embedding is another one. Does not wait for new embeddings unless told to."""
        self._course.tick(now_s)
        return self.settle(wait=wait)

    def settle(self, *, wait: bool = False) -> bool:
        """Take what is ready."""
        if self._awaited is not None:
            return self._arrive(self._awaited, wait=wait or self.current is None)
        return self._move() if self._ends is not None else False

    def _arrive(self, awaited: Blend, *, wait: bool) -> bool:
        texts = [text for text, _ in awaited] or [""]
        found = self._words.wait(texts) if wait else self._words.ready(texts)
        if found is None:
            return False
        self._awaited = None
        if self._words.explain is not None:
            read = [{"text": text, **self._words.explain(text)} for text in texts]
            self._news.append(News({"type": "prompt_read", "prompts": read}))
        goal = mix(found, [share for _, share in awaited] or [1.0], self._method, self._rules)
        wish = self._course.wish
        if wish is None or self.current is None:
            self._course.finish()
            self.current = goal
            return True
        self._tell("started", wish, 0.0)
        if (goal - self.current).norm() < UNCHANGED:
            self._course.finish()
            self._tell("finished", wish, 1.0)
            return False
        if not wish.num_steps:
            self._course.finish()
            self._tell("finished", wish, 1.0)
            self.current = goal
            return True
        self._ends = self.current, goal
        return self._move()

    def _move(self) -> bool:
        """The next point of the transition."""
        wish = self._course.wish
        assert wish is not None and self._ends is not None
        share = self._course.step()
        source, goal = self._ends
        if wish.chunks == 1 and self._rules.one_step == "source":
            self.current = source
        elif share >= 1.0:
            self.current = goal
        else:
            way = slerp(source, goal, share, self._rules) if wish.temporal_interpolation_method == "slerp" else None
            self.current = torch.lerp(source, goal, share) if way is None else way
        if not self.crossing:
            self._ends = None
        self._tell("progress" if self.crossing else "finished", wish, share)
        return True

    def finish(self) -> None:
        """A new shot ends a transition at its target."""
        wish = self._course.wish
        if wish is not None:
            self._course.finish()
            self._awaited, self._ends = self._course.shown, None
            self._tell("finished", wish, 1.0)

    def news(self) -> list[News]:
        """What has happened since this was last asked."""
        told, self._news = self._news, []
        return told

    def _tell_superseded(self, was: Transition | None) -> None:
        if was is not None:
            self._tell("superseded", was, None)

    def _tell(self, state: str, wish: Transition, share: float | None) -> None:
        target = [item.model_dump() for item in wish.target_prompts]
        about = {"target_prompts": target, "num_steps": wish.num_steps, "unit": wish.unit} if state != "progress" else {}
        done = {} if share is None else {"progress": round(share, 4)}
        settled = {"prompts": target} if state == "finished" else {}
        self._news.append(News({"type": "transition", "state": state, **done, **about}, settled))


def texts_of(prompts: Prompts, transition: Transition | None) -> list[str]:
    """Every text that values about to be read will need."""
    return [item.text for item in (*prompts, *(transition.target_prompts if transition else ()))] or [""]
