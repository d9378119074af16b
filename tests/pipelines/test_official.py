"""The published weights' way, on files of the published shape and a hundredth of a percent of their size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scope.errors import NotFound, Unavailable
from scope.models import checkpoint
from scope.models.lora import linears
from scope.models.tiny_vae import TinyVae
from scope.models.tokens import Tokenizer
from scope.models.umt5 import Umt5, Umt5Config
from scope.models.vace import VaceBranch
from scope.models.wan import WanConfig, WanTransformer
from scope.pipelines import loading, official
from scope.pipelines.family import WanOptions
from scope.pipelines.loading import Diffusion, load
from scope.pipelines.parts import DECODERS, Decoder, _fill
from scope.pipelines.recipes import RECIPES
from scope.published import FILES
from tests.pipelines.small import SIZE, TINY_CODEC, pictures, said

NET = WanConfig(dim=24, ffn_dim=48, heads=2, layers=15, freq_dim=16, text_dim=32, text_len=512)
TEXT = Umt5Config(vocabulary=300, dim=32, attention_dim=32, ffn_dim=32, heads=4, layers=1)


def filled(module: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    _fill(module, torch.Generator().manual_seed(seed))
    return module.state_dict()


def put(models: Path, name: str, tensors: dict[str, Tensor]) -> None:
    row = FILES[name]
    nest = row.nests[0] if row.nests else None
    checkpoint.write(tensors, row.under(models), nest=nest, prefix=row.prefix)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that LongLive and Krea need."""
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))
    folder = tmp_path / "models"
    for name, row in RECIPES.items():
        monkeypatch.setitem(RECIPES, name, replace(row, base=NET))
    monkeypatch.setitem(DECODERS, "wan", Decoder("wan-vae", lambda recipe: TinyVae(TINY_CODEC)))
    put(folder, "longlive", filled(WanTransformer(NET)))
    put(folder, "longlive-lora", lora())
    put(folder, "wan-vae", filled(TinyVae(TINY_CODEC)))
    put(folder, "umt5-fp8", {k: v.to(torch.bfloat16) for k, v in filled(Umt5(TEXT)).items()})
    words(folder)
    monkeypatch.setattr(official, "load_umt5", lambda path, **how: small_text(path, **how))
    monkeypatch.setattr(official, "load_tokenizer", lambda folder: Tokenizer(lambda text: [ord(c) % 298 + 2 for c in text]))
    return folder


def words(folder: Path) -> None:
    place = FILES["tokenizer"].under(folder)
    place.mkdir(parents=True)
    for name in FILES["tokenizer"].holds:
        (place / name).write_text(json.dumps({}))


def small_text(path: Path, **how: Any) -> Umt5:
    from scope.models.text import load_umt5

    return load_umt5(path, config=TEXT, **how | {"dtype": torch.float32})


def lora() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(5)
    with torch.device("meta"):
        layers = {layer: size for layer, size in linears(WanTransformer(NET)).items() if layer.startswith("blocks.")}
    down = {f"{layer}.lora_A.default.weight": torch.randn(2, wide, generator=draw) * 0.01 for layer, (_, wide) in layers.items()}
    return down | {f"{layer}.lora_B.default.weight": torch.randn(out, 2, generator=draw) for layer, (out, _) in layers.items()}


def opened(weights: str = "official", **options: Any) -> Diffusion:
    told: list[str] = []
    found = load("longlive", WanOptions.model_validate({"weights": weights, **SIZE, **options}), told.append)
    assert "Loading diffusion model..." in told or found.notice
    return found


def test_the_published_files_become_a_stream(models: Path) -> None:
    found = opened()
    assert (found.about["notice"], found.about["loaded_lora_adapters"]) == (None, None)
    assert found.about["planned_memory_gib"]["total"] > found.about["planned_memory_gib"]["text"] > 5
    running = found.open("text")
    assert len(pictures(running.step(said(prompts="a cat"), ()))) == 9
    raw = checkpoint.read(FILES["longlive"].under(models), FILES["longlive"].nests)["blocks.0.self_attn.q.weight"]
    assert (found.parts.net.blocks[0].self_attn.q.weight != raw).any(), "its own LoRA is merged"  # type: ignore[union-attr]
    assert found.parts.vace is None


def test_vace_is_loaded_where_it_is(models: Path) -> None:
    with pytest.raises(NotFound, match="VACE"):
        opened(vace_enabled=True)
    put(models, "vace-1.3b", filled(VaceBranch(NET, 15)))
    assert opened().parts.vace is not None and opened(vace_enabled=False).parts.vace is None


def test_the_text_encoder_may_compute_elsewhere(models: Path) -> None:
    here, there = opened(), opened(text_encoder="cpu")
    assert torch.equal(here.parts.words.wait(["a cat"])[0], there.parts.words.wait(["a cat"])[0])


def test_too_little_memory_is_said_before_anything_is_read(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "free_bytes", lambda device: 1 << 30)
    with pytest.raises(Unavailable, match=r"needs about .* GiB and 1\.0 GiB are free; it would fit with text_encoder 'cpu'"):
        opened()
    FILES["longlive"].under(models).unlink()
    with pytest.raises(NotFound, match=r"fetch models/longlive_base\.pt from daydreamlive/LongLive-1\.3B"):
        opened()


def test_auto_takes_them_only_where_they_fit(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no CUDA device" in opened("auto").notice
