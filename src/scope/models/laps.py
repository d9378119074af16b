"""How long each part of a chunk takes: on a GPU by its own clock, read later, so that nothing waits for the answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any

import torch

KEPT = 64  # chunks of which the median is told


class Laps:
    """A stopwatch for one stream. Every part is timed by one thread at a time; any thread may read."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._took_ms: dict[str, deque[float]] = {}
        self._running: deque[tuple[str, Any, Any]] = deque(maxlen=16 * KEPT)  # CUDA events that may not have happened yet

    @contextmanager
    def lap(self, part: str) -> Iterator[None]:
        """Time what happens inside; on a GPU, what is given to the current stream inside."""
        begun_s = perf_counter()
        begun = self._event()
        yield
        if begun is None:
            self._note(part, (perf_counter() - begun_s) * 1000)
        else:
            self._running.append((part, begun, self._event()))

    def _event(self) -> Any:
        if not self._on_gpu:
            return None
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _note(self, part: str, took_ms: float) -> None:
        self._took_ms.setdefault(part, deque(maxlen=KEPT)).append(took_ms)

    def ms(self) -> Mapping[str, float]:
        """The median of the latest chunks, by part, in milliseconds."""
        while self._running and self._running[0][2].query():
            part, begun, ended = self._running.popleft()
            self._note(part, begun.elapsed_time(ended))
        return {part: median(tuple(took)) for part, took in tuple(self._took_ms.items())}
