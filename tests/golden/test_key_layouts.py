"""Our modules have exactly the names and shapes of the published files; the layouts were recorded from the originals' code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from scope.models.tiny_vae import TINY_VAE, TinyVae
from scope.models.umt5 import UMT5_XXL, Umt5
from scope.models.vae import LIGHT_VAE, WAN_VAE, WanVae
from scope.models.wan import WAN_1_3B, WAN_14B, WanTransformer
from scope.models.weights import on_meta
from tests.golden.case import Case

MODELS: dict[str, Callable[[], nn.Module]] = {
    "wan2.1-t2v-1.3B": lambda: WanTransformer(WAN_1_3B),
    "wan2.1-t2v-14B": lambda: WanTransformer(WAN_14B),
    "Wan2.1_VAE.pth": lambda: WanVae(WAN_VAE),
    "lightvaew2_1.pth": lambda: WanVae(LIGHT_VAE),
    "taew2_1.pth": lambda: TinyVae(TINY_VAE),
    "models_t5_umt5-xxl-enc-bf16.pth": lambda: Umt5(UMT5_XXL),
}


@pytest.mark.golden("15_")
@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes(case: Case, name: str) -> None:
    if name not in case.meta:
        pytest.skip(f"this set has no {name}")
    model = on_meta(MODELS[name])
    case.equal({key: list(value.shape) for key, value in model.state_dict().items()}, case.meta[name])


@pytest.mark.golden("15_")
def test_the_lora_fits_the_transformer(case: Case) -> None:
    """Every pair's outer sizes are those of the linear layer it names."""
    layout = next(shapes for name, shapes in case.meta.items() if "lora" in name)
    linear = {key: list(value.shape) for key, value in on_meta(MODELS["wan2.1-t2v-1.3B"]).state_dict().items()}
    for key, shape in layout.items():
        target, _, half = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        out, wide = linear[f"{target}.weight"]
        case.equal(shape[1] if half == "lora_A" else shape[0], wide if half == "lora_A" else out)
