"""Work on a GPU without making it wait: copies that do not stop it, and streams of their own. On a CPU there is nothing to do.

A copy from ordinary memory stops the host until the device has done all it was given; one from pinned memory does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def to_device(x: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A host tensor on `device`, in `dtype`; the host does not wait for what the device is doing."""
    x = x if dtype is None else x.to(dtype)
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


class Sideline:
    """A CUDA stream for work beside the usual one. On a CPU the thread that does the work is the sideline."""

    def __init__(self, device: torch.device) -> None:
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def mark(self) -> Any:
        """The present point of the current stream, for `entered`; returns when the device has reached it."""
        if self._stream is None:
            return None
        point: Any = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        point.record()
        point.synchronize()
        return point

    @contextmanager
    def entered(self, after: Any = None) -> Iterator[None]:
        """Inside, work goes to the sideline, and begins when the point `after` has been reached."""
        if self._stream is None:
            yield
            return
        with torch.cuda.stream(self._stream):
            if after is not None:
                self._stream.wait_event(after)
            yield

    def fetch(self, x: Tensor) -> Tensor:
        """A device tensor on the host, through pinned memory; waits for the sideline alone. To be called inside `entered`."""
        if self._stream is None:
            return x
        host = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
        host.copy_(x, non_blocking=True)
        self._stream.synchronize()
        return host


def peak_bytes() -> int | None:
    """The most that tensors have taken on the GPU since the process began; None without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def describe() -> dict[str, str | int]:
    """What a measurement must say about where it was made."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "torch": torch.__version__, "threads_per_stage": torch.get_num_threads()}
