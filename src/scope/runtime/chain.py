"""Several pipelines in a row behave as one stream: preprocessors, the main one, postprocessors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from scope.contract import (
    Change,
    Foresighted,
    Mode,
    Multiplying,
    News,
    Params,
    Pipeline,
    Rest,
    Speaker,
    Spec,
    Stream,
    Timed,
    TwoStage,
)
from scope.frame import Frame
from scope.runtime import failures


@dataclass(frozen=True, slots=True)
class Link:
    """One loaded pipeline of a chain, under the name its node has."""

    node_id: str
    spec: Spec
    pipeline: Pipeline

    @property
    def name(self) -> str:
        """What a user knows it by."""
        return self.spec.name if self.node_id == self.spec.id else f"{self.spec.name} ({self.node_id})"


def main_spec(specs: Sequence[Spec]) -> Spec:
    """The pipeline a chain is about: the first that is neither pre- nor postprocessor, else the last."""
    return next((spec for spec in specs if not spec.usage), specs[-1])


def mode_for(specs: Sequence[Spec], wanted: Mode | None) -> Mode:
    """The mode a chain runs in: what was asked for where the main pipeline can, else its default.

    Something in front of the main pipeline means that there is a video (contract 3.5), where nothing was asked for.
    """
    main = main_spec(specs)
    if wanted is None and specs[0] is not main:
        wanted = "video"
    return wanted if wanted is not None and wanted in main.modes else main.default_mode


def about(links: Sequence[Link]) -> Change:
    """What the main pipeline of a loaded chain has to say about itself."""
    main = main_spec([link.spec for link in links])
    found: Change = getattr(next(link.pipeline for link in links if link.spec is main), "about", {})
    return found


def rate_factor(links: Sequence[Link]) -> float:
    """How many frames leave the chain for each that its main pipeline makes."""
    main = main_spec([link.spec for link in links])
    after = links[[link.spec for link in links].index(main) :]
    return prod(link.pipeline.rate_factor for link in after if isinstance(link.pipeline, Multiplying))


@dataclass(slots=True)
class _Stage:
    node_id: str
    name: str
    stream: Stream
    waiting: list[Frame] = field(default_factory=list)

    def begin(self, params: Params, frames: Sequence[Frame]) -> Rest:
        """Once where the stream dreams, else as often as what waits allows; what is left over waits for the next chunk."""
        with failures.stage(self.name):
            return self._once(params, ()) if self.stream.wants(params) == 0 else self._feed(params, frames)

    def _feed(self, params: Params, frames: Sequence[Frame]) -> Rest:
        self.waiting.extend(frames)
        begun: list[Rest] = []
        while len(self.waiting) >= max(1, count := self.stream.wants(params)):
            taken, self.waiting = self.waiting[:count], self.waiting[count:]
            begun.append(self._once(params, taken))
        return lambda: [frame for rest in begun for frame in rest()]

    def _once(self, params: Params, frames: Sequence[Frame]) -> Rest:
        if not isinstance(self.stream, TwoStage):
            made = self.stream.step(params, frames)
            return lambda: made
        rest = self.stream.begin(params, frames)
        return lambda: self._named(rest)

    def _named(self, rest: Rest) -> Sequence[Frame]:
        with failures.stage(self.name):
            return rest()


class ChainStream:
    """The running state of a chain. Not a `Stream` itself only in that it takes the parameters of every node."""

    def __init__(self, links: Sequence[Link], mode: Mode) -> None:
        self._stages = [self._opened(link, mode) for link in links]
        halved = [isinstance(stage.stream, TwoStage) for stage in self._stages]
        self._first = halved.index(True) + 1 if True in halved else len(halved)  # stages that run in the first half of a step
        self.two_stage = True in halved

    @staticmethod
    def _opened(link: Link, mode: Mode) -> _Stage:
        with failures.stage(link.name):
            return _Stage(link.node_id, link.name, link.pipeline.open(mode))

    def wants(self, params: Mapping[str, Params]) -> int:
        """How many input frames the next step needs: the longest chunk of any stage before the first that dreams."""
        wanted = [stage.stream.wants(params[stage.node_id]) for stage in self._stages]
        return 0 if 0 in wanted else max(wanted)

    def step(self, params: Mapping[str, Params], frames: Sequence[Frame]) -> Sequence[Frame]:
        """One chunk through all stages. A stage that dreams ignores what comes before it."""
        return self.begin(params, frames)()

    def begin(self, params: Mapping[str, Params], frames: Sequence[Frame]) -> Rest:
        """The first half: up to the first half of the first stage that has two. The rest is the second, and all stages behind."""
        *before, halved = self._stages[: self._first]
        for stage in before:
            frames = stage.begin(params[stage.node_id], frames)()
        rest = halved.begin(params[halved.node_id], frames)
        return lambda: self._finish(params, rest())

    def _finish(self, params: Mapping[str, Params], flow: Sequence[Frame]) -> Sequence[Frame]:
        for stage in self._stages[self._first :]:
            flow = stage.begin(params[stage.node_id], flow)()
        return flow

    def foresee(self, params: Mapping[str, Params]) -> None:
        """May be called from another thread while a step runs."""
        for stage in self._stages:
            if isinstance(stage.stream, Foresighted):
                stage.stream.foresee(params[stage.node_id])

    def news(self) -> list[tuple[str, News]]:
        """What the stages have to say, with the node each one has."""
        speakers = [(stage.node_id, stage.stream) for stage in self._stages if isinstance(stage.stream, Speaker)]
        return [(node_id, news) for node_id, stream in speakers for news in stream.news()]

    def timings(self) -> dict[str, Mapping[str, float]]:
        """Milliseconds by part, of every node that measures itself."""
        return {stage.node_id: stage.stream.timings() for stage in self._stages if isinstance(stage.stream, Timed)}

    def reset(self) -> None:
        for stage in self._stages:
            stage.waiting.clear()
            stage.stream.reset()
