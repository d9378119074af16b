"""MetaDJ Soundscape's messages at 30 Hz, through the mailbox, on a real (tiny) network (contract 12.3, B17, B18)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import WanParams
from scope.runtime.params import Mailbox
from tests.pipelines.small import tiniest

RATE_HZ = 30
BASE, SPIKE = "a calm sea", "a storm of sparks"


class Client:
    """Says everything at every tick, as Soundscape does; the transition only once."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self.prompts = BASE

    def say(self, noise: float, transition: str | None = None) -> None:
        change: dict[str, Any] = {
            "prompts": [{"text": self.prompts, "weight": 1.0}],
            "denoising_step_list": [1000, 500],
            "noise_scale": noise,
            "manage_cache": True,
        }
        if transition is not None:
            target = [{"text": transition, "weight": 1.0}]
            change["transition"] = {"target_prompts": target, "num_steps": 8, "temporal_interpolation_method": "slerp"}
        self._box.put({"main": change})


class Stage:
    """A stream whose chunks take as long as is wanted, by a clock that is turned by hand."""

    def __init__(self, name: str, chunk_s: float) -> None:
        self.now_s = 0.0
        self.stream: DiffusionStream = tiniest(name, clock=lambda: self.now_s)
        self.box = Mailbox({"main": WanParams})
        self.client = Client(self.box)
        self.chunk_s, self.next_s = chunk_s, 0.0
        self.ways: list[Tensor] = []
        self.told: list[str] = []

    def tick(self, tick: int, transition: str | None = None) -> None:
        self.now_s = tick / RATE_HZ
        self.client.say(0.5 + 0.1 * (tick % 2), transition)
        if self.now_s >= self.next_s:
            self.next_s = self.now_s + self.chunk_s
            params = self.box.take().params["main"]
            assert isinstance(params, WanParams)
            self.stream.step(params, ())
            assert self.stream.conditioning.current is not None
            self.ways.append(self.stream.conditioning.current.clone())
            self.told += [news.message["state"] for news in self.stream.news()]

    def embedding(self, text: str) -> Tensor:
        return self.stream.parts.words.wait([text])[0]

    def shares(self, source: str, target: str) -> list[float]:
        """How far each chunk was on the way, by angle."""
        a, b = (self.embedding(text).flatten() for text in (source, target))
        whole = (a - b).norm()
        return [float(1 - (way.flatten() - b).norm() / whole) for way in self.ways]


@pytest.mark.parametrize("name", ["longlive", "streamdiffusionv2"])
@pytest.mark.parametrize("chunk_s", [0.0, 0.15, 0.7])
def test_a_to_b_is_monotone_and_arrives(name: str, chunk_s: float) -> None:
    """B17: five seconds of old prompts at 30 Hz, whatever a chunk takes."""
    stage = Stage(name, chunk_s)
    for tick in range(30):
        stage.tick(tick)
    for tick in range(30, 180):
        stage.tick(tick, SPIKE if tick == 30 else None)
    shares = stage.shares(BASE, SPIKE)
    assert all(b >= a - 1e-4 for a, b in zip(shares, shares[1:], strict=False)), shares
    stage.client.prompts = SPIKE
    for tick in range(180, 420):
        stage.tick(tick)
    assert stage.shares(BASE, SPIKE)[-1] > 0.999 and stage.told.count("finished") == 1 and "superseded" not in stage.told


def test_the_whole_sequence_with_its_way_back() -> None:
    """(a) transition once, (b) A for 0.9 s, (c) B once, (d) a new transition home, which begins at the point reached."""
    stage = Stage("longlive", 0.4)
    for tick in range(30):
        stage.tick(tick)
    stage.tick(30, SPIKE)
    for tick in range(31, 57):
        stage.tick(tick)
    stage.client.prompts = SPIKE
    stage.tick(57)
    reached = stage.shares(BASE, SPIKE)[-1]
    assert 0.1 < reached < 0.9
    stage.tick(58, BASE)
    for tick in range(59, 85):
        stage.tick(tick)
    stage.client.prompts = BASE
    for tick in range(85, 300):
        stage.tick(tick)
    shares = stage.shares(BASE, SPIKE)
    top = max(range(len(shares)), key=shares.__getitem__)
    assert shares[top] == pytest.approx(reached, abs=0.25) and shares[-1] < 0.001
    assert all(b <= a + 1e-4 for a, b in zip(shares[top:], shares[top + 1 :], strict=False)), shares
    assert stage.told.count("superseded") == 1 and stage.told[-1] == "finished"


def test_a_to_b_to_a_and_weights() -> None:
    """B18: the old prompts, meant this time; only ratios count."""
    stage = Stage("longlive", 0.0)
    stage.tick(0)
    stage.tick(1, SPIKE)
    stage.client.prompts = SPIKE
    for tick in range(2, 20):
        stage.tick(tick)
    stage.client.prompts = BASE
    stage.tick(20)
    assert torch.equal(stage.ways[-1], stage.ways[0])
    found = []
    for weights in ((0, 0), (1, 1), (100, 100)):
        stream = tiniest("longlive")
        prompts = [{"text": text, "weight": weight} for text, weight in zip((BASE, SPIKE), weights, strict=True)]
        stream.step(WanParams.model_validate({"prompts": prompts}), ())
        assert stream.past is not None
        found.append(stream.past)
    assert all(torch.equal(found[0], other) for other in found[1:])
