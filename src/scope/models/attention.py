"""One attention call, and a table of the kernels that can answer it.

Shape suffixes: B batch, T queries, S keys, N heads, D head channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from scope.errors import NotFound, Unavailable

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


class Attend(Protocol):
    """softmax(q k^T / sqrt(D) + mask) v; returns [B, T, N, D]. `mask` is additive, broadcastable to [B, N, T, S]."""

    def __call__(self, q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor, mask: Tensor | None = None) -> Tensor: ...


def sdpa(q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor, mask: Tensor | None = None) -> Tensor:
    """torch's own attention (it picks cuDNN, flash, memory-efficient or plain); the default, takes every mask and dtype."""
    q, k, v = (x.transpose(1, 2) for x in (q_BTND, k_BSND, v_BSND))
    return scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def _flash3() -> Kernel:
    run: Any = import_module("flash_attn_interface").flash_attn_func

    def kernel(q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor) -> Tensor:
        out = run(q_BTND, k_BSND, v_BSND)
        found: Tensor = out[0] if isinstance(out, tuple) else out
        return found

    return kernel


def _flash2() -> Kernel:
    run: Kernel = import_module("flash_attn").flash_attn_func
    return run


def _sage() -> Kernel:
    run: Any = import_module("sageattention").sageattn

    def kernel(q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor) -> Tensor:
        found: Tensor = run(q_BTND, k_BSND, v_BSND, tensor_layout="NHD")
        return found

    return kernel


@dataclass(frozen=True, slots=True)
class Backend:
    """One kernel: the module that must be importable, the compute capabilities it serves, how to load it."""

    module: str
    load: Callable[[], Kernel]
    capability: tuple[int, int]  # lowest
    below: tuple[int, int] = (99, 0)  # first it does not serve
    note: str = ""

    def missing(self) -> str:
        """Why it cannot be used on this machine; empty if it can."""
        if find_spec(self.module) is None:
            return f"{self.module} is not installed"
        if not torch.cuda.is_available():
            return "needs a CUDA device"
        here = torch.cuda.get_device_capability()
        return "" if self.capability <= here < self.below else f"does not serve compute capability {here[0]}.{here[1]}"


BACKENDS: dict[str, Backend] = {
    "flash3": Backend("flash_attn_interface", _flash3, (9, 0), (10, 0)),
    "flash2": Backend("flash_attn", _flash2, (8, 0)),
    "sage": Backend("sageattention", _sage, (8, 0), (9, 0), "8-bit q and k: faster, not exact"),
}


def available() -> dict[str, str]:
    """What `scope doctor` prints: backend -> "ready", or why not."""
    return {"sdpa": "ready"} | {name: b.missing() or f"ready {b.note}".strip() for name, b in BACKENDS.items()}


def choose(name: str = "sdpa") -> Attend:
    """The attention called `name`, loaded now.

    A kernel without masks or for half precision only hands such calls to torch. Raises NotFound for an unknown name, Unavailable
    where this machine cannot run it.
    """
    if name == "sdpa":
        return sdpa
    backend = BACKENDS.get(name)
    if backend is None:
        raise NotFound(f"no attention backend {name!r}; there are sdpa, {', '.join(BACKENDS)}")
    if reason := backend.missing():
        raise Unavailable(f"attention backend {name}: {reason}")
    return _with_fallback(backend.load())


def _with_fallback(kernel: Kernel) -> Attend:
    def attend(q_BTND: Tensor, k_BSND: Tensor, v_BSND: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None or q_BTND.dtype not in (torch.bfloat16, torch.float16):
            return sdpa(q_BTND, k_BSND, v_BSND, mask)
        return kernel(q_BTND, k_BSND, v_BSND)

    return attend
