"""The tiny VAEs against the original. The recorded weights are a recipe, not tensors: it is followed here key by key."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from scope.models.codec import SCOPE
from scope.models.tiny_vae import LIGHT_TINY_VAE, TINY_VAE, TinyVae
from tests.golden.case import Case

ATOL = 2e-5
ROWS = {False: TINY_VAE, True: LIGHT_TINY_VAE}  # the recorded `normalised_latents`: the network wants them widened first


def drawn(key: str, shape: list[int], seed: int) -> Tensor:
    """The recipe of config.weight_recipe.rule."""
    r = np.random.RandomState(crc32(key.encode()) ^ seed).standard_normal(shape).astype(np.float32)
    if key.endswith("bias"):
        return torch.from_numpy(r * np.float32(0.05) + np.float32(0.5 if key == "decoder.22.bias" else 0.0))
    gain = 0.25 if key == "decoder.22.weight" else 1.1
    return torch.from_numpy(r * np.float32(gain / math.sqrt(math.prod(shape[1:]))))


def weights_of(case: Case) -> dict[str, Tensor]:
    recipe = case.config["weight_recipe"]
    return {key: drawn(key, shape, recipe["seed"]) for key, shape in recipe["shapes"].items()}


def vae_of(case: Case) -> TinyVae:
    vae = TinyVae(ROWS[case.config["normalised_latents"]])
    vae.load_state_dict(weights_of(case))
    return vae.eval().requires_grad_(False)


@pytest.mark.golden("07_tae", "07_lighttae")
def test_recipe(case: Case) -> None:
    weights = weights_of(case)
    case.close(weights["encoder.0.weight"].flatten()[:4], "check.encoder.0.weight[:4]", atol=0)
    case.close(weights["decoder.22.bias"], "check.decoder.22.bias", atol=0)


@pytest.mark.golden("07_tae", "07_lighttae")
def test_stream(case: Case) -> None:
    vae = vae_of(case)
    state = vae.open(SCOPE)
    with torch.inference_mode():
        for key in (k.removesuffix(".in") for k in case.meta["shapes"] if k.startswith("stream.") and k.endswith(".in")):
            if key.endswith("_after_reset"):
                state.reset()
            run = vae.encode if key.startswith("stream.enc") else vae.decode
            case.close(run(case.tensors[f"{key}.in"], state), f"{key}.out", atol=ATOL)


@pytest.mark.golden("07_tae", "07_lighttae")
def test_whole_clip(case: Case) -> None:
    vae = vae_of(case)
    with torch.inference_mode():
        case.close(vae.encode(case.tensors["batch.enc.in"]), "batch.enc.out", atol=ATOL)
        case.close(vae.decode(case.tensors["batch.dec.in"]), "batch.dec.out", atol=ATOL)
