"""The autoencoder's training runs, stops at any step, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import torch

from scope.models import checkpoint
from scope.models.tiny_vae import NANO_VAE, TinyVae
from training.autoencoder import Trainer, pixels, psnr, rebuilt
from training.linear_start import begin_linear
from training.plan import AUTOENCODER
from training.scenes import drawn, render

PLAN = AUTOENCODER["test"]


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    first = Trainer(PLAN, tmp_path, "cpu")
    first.once()
    first.save()
    second = Trainer(PLAN, tmp_path, "cpu")
    assert second.step == 1
    for name, weight in first.vae.named_parameters():
        assert torch.equal(weight, second.vae.get_parameter(name))
    loss, db = second.once()
    assert loss > 0 and db > 5 and second.step == 2


def test_what_is_shipped_can_be_loaded(tmp_path: Path) -> None:
    trainer = Trainer(PLAN, tmp_path, "cpu")
    trainer.once()
    trainer.save()
    tensors = checkpoint.read(tmp_path / "nano-vae.safetensors")
    vae = TinyVae(NANO_VAE)
    vae.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def test_it_begins_as_a_code_and_not_as_noise() -> None:
    clips = torch.stack([pixels(render(drawn(seed), 8, 64, 64)) for seed in range(24)])
    vae = TinyVae(NANO_VAE)
    torch.manual_seed(0)
    begin_linear(vae, clips)
    with torch.inference_mode():
        assert psnr(rebuilt(vae, clips), clips) > 17, "a picture before the first step"
