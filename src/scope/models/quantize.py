"""Smaller linear layers: fp8 weights and activations where a GPU multiplies them, else int8 weights (models-wan.md section 16).

fp8 is what torchao's Float8DynamicActivationFloat8Weight computes, per tensor, byte for byte: written out here because torchao
refuses to do it on anything but such a GPU, where it could not be tested, and costs four seconds of import. The same code runs on
a CPU. int8 is weight-only: each output row has its own scale, and is widened when used; it saves memory, not time.

Only layers of `torch.nn.Linear` change. Convolutions, norms and modulation tables stay: they are a thousandth of the weights.
Shape suffixes: M rows (any number of leading axes), K channels in, N channels out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scope.errors import Unavailable

Kind = Literal["fp8", "int8"]
FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0
MULTIPLE = 16  # the fp8 matrix product wants both sizes to be multiples of this
FP8_GPU = (8, 9)  # compute capability from which GPUs multiply fp8
CONDITIONING = ("time_embedding", "time_projection", "text_embedding", "head")


@dataclass(frozen=True, slots=True)
class Quantisation:
    """`keep`: beginnings of the names of layers left alone. The default keeps what conditions and what ends the network: under 2%
    of the weights, run once or on a handful of rows, and every block sees their error. Scope keeps nothing."""

    kind: Kind
    keep: tuple[str, ...] = CONDITIONING


def suited(device: torch.device | str) -> Kind:
    """What pays on this device."""
    where = torch.device(device)
    return "fp8" if where.type == "cuda" and torch.cuda.get_device_capability(where) >= FP8_GPU else "int8"


def to_fp8(v: Tensor) -> tuple[Tensor, Tensor]:
    """(fp8 e4m3fn, scale float32 [1]) of the whole tensor: v is about q * scale.

    scale = max|v| / 448 in v's own type, then widened; q = v / scale in float32, clamped, rounded half to even.
    """
    scale = (v.abs().amax() / FP8_MAX).float().reshape(1)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (v.float() / scale).clamp_(-FP8_MAX, FP8_MAX).to(FP8), scale


def to_int8(w_NK: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 [N,K], scale float32 [N,1]): each row's largest value becomes 127."""
    scale = w_NK.float().abs().amax(1, keepdim=True) / 127
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (w_NK.float() / scale).round_().to(torch.int8), scale


class Fp8Linear(nn.Module):
    """y = (q_x q_w^T) s_x s_w + b; the activation's scale is found anew at each call, over the whole tensor."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = to_fp8(linear.weight.detach())
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = linear.bias

    def forward(self, x_MK: Tensor) -> Tensor:
        q_MK, scale = to_fp8(x_MK.flatten(0, -2))
        inside = None if x_MK.dtype == torch.float32 else self.bias  # the product takes no float32 bias
        y_MN = torch._scaled_mm(  # private by name, but what torchao itself calls
            q_MK, self.weight.t(), scale, self.scale, bias=inside, out_dtype=x_MK.dtype, use_fast_accum=x_MK.is_cuda
        )
        y_MN = y_MN if self.bias is None or inside is not None else y_MN + self.bias
        return y_MN.reshape(*x_MK.shape[:-1], -1)


class Int8Linear(nn.Module):
    """y = (x q_w^T) s_w + b, in x's type."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = to_int8(linear.weight.detach())
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = linear.bias

    def forward(self, x_MK: Tensor) -> Tensor:
        y_MN = F.linear(x_MK, self.weight.to(x_MK.dtype)) * self.scale[:, 0].to(x_MK.dtype)
        return y_MN if self.bias is None else y_MN + self.bias


def quantise(model: nn.Module, plan: Quantisation) -> list[str]:
    """Replace the linear layers of `model` in place, one by one (so the peak is one layer above), and say which.

    After merging LoRAs, before anything is captured or compiled. Raises Unavailable for fp8 on a GPU that cannot multiply it.
    """
    chosen = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and _wanted(name, module, plan)]
    for name in chosen:
        linear = model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        if plan.kind == "fp8":
            _check_gpu(linear.weight.device)
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, Fp8Linear(linear) if plan.kind == "fp8" else Int8Linear(linear))
    return chosen


def _wanted(name: str, linear: nn.Linear, plan: Quantisation) -> bool:
    fits = plan.kind == "int8" or not (linear.in_features % MULTIPLE or linear.out_features % MULTIPLE)
    return fits and not any(name == kept or name.startswith(f"{kept}.") for kept in plan.keep)


def _check_gpu(device: torch.device) -> None:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < FP8_GPU:
        raise Unavailable("fp8 needs a GPU of compute capability 8.9 or newer (Ada, Hopper, Blackwell); choose int8 here")
