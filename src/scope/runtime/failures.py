"""What a failing chunk means: try again, or give up."""

from __future__ import annotations

import sys

CONSECUTIVE_LIMIT = 3


def is_out_of_memory(error: BaseException) -> bool:
    """torch's own error is recognised by name, so that nothing here imports torch."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def free_device_memory() -> None:
    """Hand cached device memory back, if torch is in use at all."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def sentence(error: BaseException) -> str:
    """What went wrong, in words a user can act on."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_out_of_memory(error):
        return (
            f"Out of memory: choose a smaller picture, fp8 or fewer LoRAs, or close other programs on this device ({text[:200]})"
        )
    return f"{type(error).__name__}: {text[:300]}"


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
