"""The second half of one chunk beside the first half of the next: one at a time, in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic

from scope.runtime.params import Taken


@dataclass(frozen=True, slots=True)
class _Coming:
    done: Future[None]
    taken: Taken
    since_s: float = field(default_factory=monotonic)


class Finisher:
    """One thread. Used from one other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chunk-finish")
        self._coming: _Coming | None = None

    def begin(self, work: Callable[[], None], taken: Taken) -> None:
        """Finish a chunk that runs under what was `taken`. The one before must be settled."""
        self._coming = _Coming(self._thread.submit(work), taken)

    def settle(self) -> None:
        """Wait for the chunk that is being finished. Raises what that raised."""
        if self._coming is not None:
            self._coming.done.result()
            self._coming = None

    def drain(self) -> Taken | None:
        """Wait for it whatever becomes of it; what it had taken, if it failed."""
        coming, self._coming = self._coming, None
        return coming.taken if coming is not None and coming.done.exception() is not None else None

    def check(self) -> None:
        """Settle what is done already."""
        if self._coming is not None and self._coming.done.done():
            self.settle()

    @property
    def since_s(self) -> float | None:
        """When the work in progress began; None when there is none. From any thread."""
        coming = self._coming
        return None if coming is None or coming.done.done() else coming.since_s

    def close(self) -> None:
        self._thread.shutdown()
