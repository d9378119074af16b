"""The measuring end: what went wrong reaches whoever waits for a picture."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from scope.bench.measure import Wish, measure
from scope.bench.sink import ROOM, Sink, camera
from scope.edges.encoder import Encoder
from scope.errors import Unavailable
from scope.pipelines.diffusion import DiffusionStream
from scope.runtime.params import Ticket

PATIENCE_S = 20.0


def test_pictures_are_written_down_as_they_leave_with_what_they_answer() -> None:
    with Sink() as sink:
        for number, frame in enumerate(islice(camera(32, 48), 3)):
            sink.put(frame, [Ticket("a", number, ("x",))] if number == 1 else [])
        third_s = sink.wait(3, PATIENCE_S)
        assert sink.left_s[0] <= sink.answer(1, PATIENCE_S) == sink.left_s[1] <= third_s
        assert len(sink.encode_ms) == 3


def test_waiting_ends() -> None:
    with Sink() as sink:
        with pytest.raises(TimeoutError, match="no picture came"):
            sink.wait(1, 0.01)
        with pytest.raises(TimeoutError, match="not answered"):
            sink.answer(1, 0.01)
        sink.fail(Unavailable("the card fell out"))
        with pytest.raises(Unavailable, match="fell out"):
            sink.wait(1, PATIENCE_S)


def fail(*arguments: Any, **more: Any) -> Any:
    raise MemoryError("nothing left")


def test_an_encoder_that_fails_is_heard_and_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "encode", fail)
    with Sink() as sink:
        for frame in islice(camera(32, 48), 2 * ROOM):
            sink.put(frame)
        with pytest.raises(MemoryError, match="nothing left"):
            sink.wait(1, PATIENCE_S)


def test_a_camera_moves_and_keeps_its_size() -> None:
    first, second = islice(camera(30, 50), 2)
    assert first.rgb().shape == (30, 50, 3) and (first.rgb() != second.rgb()).any() and second.time_s > first.time_s


def test_a_pipeline_that_fails_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiffusionStream, "begin", fail)
    with pytest.raises(Unavailable, match="Out of memory"):
        measure(Wish("longlive", {"weights": "random", "width": 32, "height": 32}), 0.0)
