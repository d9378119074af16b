"""Which prompt embedding the next chunk runs under: blends, cuts and transitions (contract 4.1).

`PromptCourse` has the rules; here are the embeddings. A transition starts from the embedding in use, so it may be interrupted at
any point without a jump. Shape suffixes: B batch, L rows, D channels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from torch import Tensor

from scope.contract import Prompts
from scope.models.blend import RIGHT, Method, Rules, transition
from scope.models.blend import blend as mix
from scope.pipelines.prompt import Blend, PromptCourse, Transition


class Conditioning:
    """The prompt side of one stream. `embed` gives [1, L, D] for a text."""

    def __init__(self, embed: Callable[[str], Tensor], rules: Rules = RIGHT) -> None:
        self._embed, self._rules = embed, rules
        self._course = PromptCourse()
        self._method: Method = "linear"
        self.current: Tensor | None = None
        self._next: Tensor | None = None  # a cut, for the coming chunk
        self._way: deque[Tensor] = deque()  # the embeddings of the coming chunks of a transition

    @property
    def crossing(self) -> bool:
        """Whether a transition has chunks to go."""
        return bool(self._way)

    def hear(self, prompts: Prompts, method: Method = "linear") -> None:
        """Prompts sent since the last chunk."""
        other_method = method != self._method and not self.crossing
        self._method = method
        if self._course.hear(prompts) or other_method or self.current is None:
            self._way.clear()
            self._next = self._mixed(self._course.shown)

    def start(self, wish: Transition, method: Method = "linear") -> None:
        """Go to other prompts, one point per chunk; at once when there is nothing to come from."""
        self._method = method
        if not self._course.start(wish):
            return
        goal = self._mixed(self._course.target)
        if self.current is None or wish.num_steps == 0:
            self._course.finish()
            self._way.clear()
            self._next = goal
            return
        self._next = None
        self._way = deque(transition(self.current, goal, wish.num_steps, wish.temporal_interpolation_method, self._rules))
        if not self._way:
            self._course.finish()

    def step(self) -> bool:
        """On to the coming chunk; True if its embedding is another one."""
        if self._next is not None:
            self.current, self._next = self._next, None
            return True
        if not self._way:
            return False
        self.current = self._way.popleft()
        self._course.step()
        return True

    def finish(self) -> None:
        """A new shot ends a transition at its target."""
        self._course.finish()
        if self._way:
            self._next = self._way.pop()
            self._way.clear()

    def _mixed(self, given: Blend) -> Tensor:
        if not given:
            return self._embed("")
        return mix([self._embed(text) for text, _ in given], [share for _, share in given], self._method, self._rules)
