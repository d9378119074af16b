"""Wan VAE and LightVAE against the original: streamed, reset, and whole clips, whatever the grouping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from scope.models.codec import RIGHT, SCOPE, Rules
from scope.models.vae import VaeConfig, WanVae
from tests.golden.case import Case

ATOL = 2e-5


def config_of(recorded: dict[str, Any]) -> VaeConfig:
    assert not recorded["attn_scales"], "no published VAE has attention in its levels"
    return VaeConfig(
        base=recorded["dim"],
        pruned=recorded["pruning_rate"],
        multiples=tuple(recorded["dim_mult"]),
        blocks=recorded["num_res_blocks"],
        shrink_time=tuple(recorded["temperal_downsample"]),
        latent=recorded["z_dim"],
        mean=tuple(recorded["mean"]),
        std=tuple(recorded["std"]),
    )


def vae_of(case: Case, latents_per_pass: int) -> WanVae:
    vae = WanVae(replace(config_of(case.config["vae"]), latents_per_pass=latents_per_pass))
    vae.load_state_dict(case.sibling(case.config["weights"]).tensors)
    return vae.eval().requires_grad_(False)


@pytest.mark.golden("06_vae_stream", "06_lightvae_stream")
@pytest.mark.parametrize("latents_per_pass", [1, 2, 99])
@pytest.mark.parametrize("rules", [RIGHT, SCOPE], ids=["right", "scope"])
def test_stream(case: Case, latents_per_pass: int, rules: Rules) -> None:
    vae = vae_of(case, latents_per_pass)
    state = vae.open(rules)
    with torch.inference_mode():
        for key in (k.removesuffix(".in") for k in case.meta["shapes"] if k.startswith("stream.") and k.endswith(".in")):
            if key.endswith("_after_reset"):
                state.reset()
            run = vae.encode if key.startswith("stream.enc") else vae.decode
            case.close(run(case.tensors[f"{key}.in"], state), f"{key}.out", atol=ATOL)


@pytest.mark.golden("06_vae_stream", "06_lightvae_stream")
@pytest.mark.parametrize("latents_per_pass", [1, 2, 99])
def test_whole_clip(case: Case, latents_per_pass: int) -> None:
    vae = vae_of(case, latents_per_pass)
    with torch.inference_mode():
        case.close(vae.encode(case.tensors["batch.enc.in"]), "batch.enc.out", atol=ATOL)
        case.close(vae.decode(case.tensors["batch.dec.in"]), "batch.dec.out", atol=ATOL)
