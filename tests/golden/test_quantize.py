"""fp8 linear layers against the original: bytes and scales equal, products near."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scope.models.quantize import Fp8Linear, to_fp8
from tests.golden.case import Case

ATOL = 1e-5


def flavours(case: Case) -> list[str]:
    return sorted({name.split(".")[0] for name in case.meta["shapes"]})


@pytest.mark.golden("14_")
def test_bytes_and_scales(case: Case) -> None:
    for flavour in flavours(case):
        for what in ("w", "x"):
            q, scale = to_fp8(case.tensors[f"{flavour}.{what}"])
            case.close(q.view(torch.uint8), f"{flavour}.{what}_q", atol=0)
            case.close(scale, f"{flavour}.scale_{what}", atol=0)


@pytest.mark.golden("14_")
def test_products(case: Case) -> None:
    """The recorded y is float32, so a bfloat16 layer is run on widened activations: its bytes and scales are the same."""
    for flavour in flavours(case):
        w, x, b = (case.tensors[f"{flavour}.{part}"] for part in ("w", "x", "b"))
        linear = nn.Linear(w.shape[1], w.shape[0], dtype=w.dtype)
        linear.weight, linear.bias = nn.Parameter(w), nn.Parameter(b)
        layer = Fp8Linear(linear)
        q, scale = to_fp8(x)
        y = torch._scaled_mm(q, layer.weight.t(), scale, layer.scale, out_dtype=torch.float32) + b.float()
        case.close(y, f"{flavour}.y", atol=ATOL)
        with torch.no_grad():
            rounding = 0.0 if x.dtype == torch.float32 else 2**-7 * float(case.tensors[f"{flavour}.y"].abs().max())
            torch.testing.assert_close(layer(x).float(), case.tensors[f"{flavour}.y"], atol=ATOL + rounding, rtol=0)
