"""Quantised layers: how far off they may be, what is left alone, what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scope.errors import Unavailable
from scope.models import quantize
from scope.models.quantize import FP8, Fp8Linear, Int8Linear, Kind, Quantisation, quantise, suited, to_fp8, to_int8
from scope.models.wan import WanConfig, WanTransformer

WIDE = 256


def layer(seed: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, Tensor]:
    torch.manual_seed(seed)
    return nn.Linear(WIDE, 128, dtype=dtype).requires_grad_(False), torch.randn(3, 50, WIDE).to(dtype)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm())


# Root mean square error of rounding to 3 bits of mantissa is about 2.6 %, twice (weight and activation): 3.7 %.
# int8 with a scale per row: half a step of max/127, uniformly: about 0.7 % for these weights.
@pytest.mark.parametrize("kind, low, high", [("fp8", 0.02, 0.045), ("int8", 0.001, 0.01)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(4))
def test_error_bounds(kind: Kind, low: float, high: float, dtype: torch.dtype, seed: int) -> None:
    linear, x = layer(seed, dtype)
    small = Fp8Linear(linear) if kind == "fp8" else Int8Linear(linear)
    y = small(x)
    assert y.dtype == dtype and y.shape == (3, 50, 128)
    assert low < relative(y, linear(x)) < high


def test_every_value_is_within_its_step() -> None:
    linear, _ = layer(0)
    q, scale = to_fp8(linear.weight)
    assert ((q.float() * scale - linear.weight).abs() <= linear.weight.abs() * 2**-4 + scale * 2**-10).all()
    r, rows = to_int8(linear.weight)
    assert ((r.float() * rows - linear.weight).abs() <= rows * 0.5001).all()
    assert r.abs().amax(1).eq(127).all()


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_zeros_stay_zeros(kind: Kind) -> None:
    """The original divides by zero here."""
    linear = nn.Linear(32, 32).requires_grad_(False)
    nn.init.zeros_(linear.weight)
    small = Fp8Linear(linear) if kind == "fp8" else Int8Linear(linear)
    torch.testing.assert_close(small(torch.ones(2, 32)), linear.bias.expand(2, 32))
    torch.testing.assert_close(Fp8Linear(layer(1)[0])(torch.zeros(2, WIDE)), layer(1)[0].bias.expand(2, 128))


def wan() -> WanTransformer:
    torch.manual_seed(0)
    return WanTransformer(WanConfig(dim=48, ffn_dim=80, heads=3, layers=2, freq_dim=16, text_dim=32, text_len=8)).requires_grad_(
        False
    )


def test_conditioning_is_kept_by_default_and_nothing_in_the_original() -> None:
    kept, original = wan(), wan()
    ours, theirs = quantise(kept, Quantisation("fp8")), quantise(original, Quantisation("fp8", keep=()))
    assert len(ours) == 2 * 10
    assert set(theirs) - set(ours) == {
        "text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2", "time_projection.1", "head.head",
    }  # fmt: skip
    assert kept.get_parameter("blocks.0.ffn.0.weight").dtype == FP8
    assert kept.get_parameter("head.head.weight").dtype == torch.float32
    assert isinstance(kept.get_submodule("patch_embedding"), nn.Conv3d)


def test_sizes_the_product_cannot_take_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(32, 20), nn.Linear(24, 32), nn.Linear(32, 48))
    assert quantise(model, Quantisation("fp8")) == ["2"]
    assert quantise(model, Quantisation("int8")) == ["0", "1"]


def test_int8_is_a_quarter_of_float32() -> None:
    model = wan()
    before = sum(p.numel() * p.element_size() for name, p in model.named_parameters() if "blocks" in name)
    quantise(model, Quantisation("int8"))
    after = sum(p.numel() * p.element_size() for name, p in model.named_parameters() if "blocks" in name)
    assert after < 0.35 * before


def test_old_gpus_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert suited("cpu") == "int8"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    assert suited("cuda") == "int8"
    with pytest.raises(Unavailable, match="8.9"):
        quantize._check_gpu(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    assert suited("cuda") == "fp8"
    quantize._check_gpu(torch.device("cuda"))
