"""Decoding beside the next chunk's denoising: the same pictures, at another time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from scope.contract import Mode
from scope.models.codec import CodecState
from scope.models.tiny_vae import TinyVae
from scope.pipelines import device, loading
from scope.pipelines.decoding import Once
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.recipes import RECIPES
from scope.pipelines.rules import Seeded
from tests.pipelines.small import TINY_CODEC, camera, pictures, pipeline, said, tiniest

PATIENCE_S = 20.0
SCRIPT: list[dict[str, Any]] = [  # what a client says, chunk by chunk; the step list cuts, so does None (a reset)
    {"prompts": "a cat"},
    {},
    {"prompts": "a dog"},
    {"transition": {"target_prompts": ["sparks"], "num_steps": 2}},
    {},
    {"denoising_step_list": [1000, 500]},
    {"denoising_step_list": [1000, 500]},
]


def one_after_the_other(running: DiffusionStream) -> Iterator[Any]:
    for number, words in enumerate(SCRIPT):
        params = said(**words)
        yield pictures(running.step(params, camera(running.wants(params), number)))
    running.reset()
    yield pictures(running.step(said(prompts="a cat"), camera(running.wants(said()), 9)))


def beside_each_other(running: DiffusionStream) -> list[Any]:
    """Every chunk is finished in a thread while the next begins."""
    with ThreadPoolExecutor(1) as thread:
        coming = []
        for number, words in enumerate(SCRIPT):
            params = said(**words)
            coming.append(thread.submit(running.begin(params, camera(running.wants(params), number))))
        running.reset()
        coming.append(thread.submit(running.begin(said(prompts="a cat"), camera(running.wants(said()), 9))))
        return [pictures(found.result()) for found in coming]


@pytest.mark.parametrize("mode", ["text", "video"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_pictures_are_the_same(name: str, mode: Mode) -> None:
    ready, beside = tiniest(name, mode), tiniest(name, mode, overlap=True)
    expected, found = list(one_after_the_other(ready)), beside_each_other(beside)
    assert len(expected) == len(found) == len(SCRIPT) + 1
    assert all((a == b).all() for a, b in zip(expected, found, strict=True))


class Gate(TinyVae):
    """A codec that decodes when it may."""

    def __init__(self) -> None:
        super().__init__(TINY_CODEC)
        self.open_to = threading.Semaphore(0)
        self.decoded: list[float] = []

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        assert self.open_to.acquire(timeout=PATIENCE_S)
        self.decoded.append(float(z_BFChw[0, 0, 0, 0, 0]))
        return super().decode(z_BFChw, state)


def gated(name: str, *, overlap: bool) -> tuple[DiffusionStream, Gate]:
    codec = Gate().eval().requires_grad_(False)
    parts = replace(tiniest(name).parts, codec=codec)
    return DiffusionStream(RECIPES[name], parts, "text", Seeded(1), overlap=overlap), codec


def test_a_chunk_is_denoised_while_the_one_before_waits_to_be_decoded() -> None:
    running, codec = gated("longlive", overlap=True)
    first, second = (running.begin(said(prompts="a cat"), ()) for _ in range(2))
    assert running.start == 6 and codec.decoded == []
    codec.open_to.release(2)
    assert (len(first()), len(second())) == (9, 12)


def test_without_overlap_a_chunk_is_decoded_when_it_is_begun() -> None:
    running, codec = gated("longlive", overlap=False)
    codec.open_to.release(1)
    running.begin(said(prompts="a cat"), ())
    assert len(codec.decoded) == 1


def test_chunks_are_decoded_in_order_whoever_asks() -> None:
    running, codec = gated("longlive", overlap=True)
    codec.open_to.release(2)
    first = running.begin(said(prompts="a cat"), ())
    assert running.past is not None
    value = float(running.past[0, 0, 0, 0, 0])
    second = running.begin(said(prompts="a cat"), ())
    assert len(second()) == 12 and codec.decoded[0] == value
    assert len(first()) == 9 and len(codec.decoded) == 2, "asked again, it is not decoded again"


def test_a_cut_waits_for_what_is_being_decoded() -> None:
    running, codec = gated("longlive", overlap=True)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(running.begin(said(prompts="a cat"), ()))
        threading.Timer(0.1, codec.open_to.release).start()
        running.reset()
        assert len(coming.result(PATIENCE_S)) == 9 and running.decoding.pixels is None


def test_work_done_once_fails_for_everyone() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise ValueError("no memory left")

    once = Once(work)
    for _ in range(2):
        with pytest.raises(ValueError, match="no memory left"):
            once()
    assert calls == [1]


@pytest.mark.parametrize(("cores", "wish", "overlaps", "threads"), [(1, None, False, 1), (2, None, True, 1), (8, None, True, 4)])
def test_it_is_automatic_and_can_be_chosen(
    cores: int, wish: bool | None, overlaps: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (loading, device):
        monkeypatch.setattr(module, "cores", lambda: cores)
    before = torch.get_num_threads()
    try:
        assert pipeline("longlive", overlap=wish).open("text").overlap is overlaps
        assert torch.get_num_threads() == threads
        assert pipeline("longlive", overlap=not overlaps).open("text").overlap is not overlaps
    finally:
        torch.set_num_threads(before)
