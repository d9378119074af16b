"""What a failing chunk means: try again, or give up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

CONSECUTIVE_LIMIT = 3
_STAGE = "in stage "  # how the note begins that says which part of a chain failed


def is_out_of_memory(error: BaseException) -> bool:
    """torch's own error is recognised by name, so that nothing here imports torch."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def free_device_memory() -> None:
    """Hand cached device memory back, if torch is in use at all."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Whatever is raised inside is remembered as that stage's, for `sentence` and the log."""
    try:
        yield
    except Exception as error:
        error.add_note(_STAGE + name)
        raise


def sentence(error: BaseException) -> str:
    """What went wrong and in which stage of a chain, in words a user can act on."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    notes: list[str] = getattr(error, "__notes__", [])
    where = next((f"{note.removeprefix(_STAGE)}: " for note in notes if note.startswith(_STAGE)), "")
    if is_out_of_memory(error):
        advice = "choose a smaller picture, fp8 or fewer LoRAs, or close other programs on this device"
        return f"{where}Out of memory: {advice} ({text[:200]})"
    return f"{where}{type(error).__name__}: {text[:300]}"


class FailureCount:
    """Counts failures in a row; one good chunk forgives them all."""

    def __init__(self, limit: int = CONSECUTIVE_LIMIT) -> None:
        self._limit = limit
        self.in_a_row = 0
        self._memory = 0

    def succeeded(self) -> None:
        self.in_a_row = self._memory = 0

    def gives_up(self, error: BaseException) -> bool:
        """True when it is time to stop. Memory that ran out gets one retry after the caches are emptied."""
        self.in_a_row += 1
        self._memory += is_out_of_memory(error)
        return self.in_a_row >= self._limit or self._memory > 1
