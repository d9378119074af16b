"""LoRAs at load and while running: found where clients say, merged or loose, turned at the next chunk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from scope.errors import BadInput, NotFound
from scope.models.lora import linears
from scope.models.wan import WanTransformer
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.loras import find_lora
from scope.pipelines.parts import SMALL
from scope.pipelines.rules import Seeded, StreamRules
from tests.pipelines.small import pictures, pipeline, said

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a LoRA for the small network into the folder of LoRAs."""
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path))

    def make(name: str = "style", wider: int = 0) -> Path:
        draw, rank = torch.Generator().manual_seed(len(name)), 2
        with torch.device("meta"):
            layers = {layer: size for layer, size in linears(WanTransformer(SMALL)).items() if layer.startswith("blocks.")}
        tensors = {}
        for layer, (out, wide) in layers.items():
            tensors[f"{layer}.lora_A.weight"] = torch.randn(rank, wide + wider, generator=draw)
            tensors[f"{layer}.lora_B.weight"] = torch.randn(out, rank, generator=draw) * 0.1
        path = tmp_path / "models" / "lora" / "mine" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
        return path

    return make


def chunks(running: DiffusionStream, *scales: float, path: str = "") -> list[Any]:
    """A picture per scale, each from the beginning of a shot."""
    shown = []
    for scale in scales:
        running.cut()
        change = {"lora_scales": [{"path": path, "scale": scale}]} if path else {}
        shown.append(pictures(running.step(said(prompts="a cat", **change), ())))
    return shown


def test_a_loose_lora_is_turned_at_the_next_chunk(write: Write) -> None:
    path = str(write())
    found = pipeline("longlive", loras=[{"path": path, "scale": 0.0, "merge_mode": "runtime_peft"}])
    plain = chunks(pipeline("longlive").open("text"), 0.0)[0]
    off, on, off_again = chunks(found.open("text"), 0.0, 1.0, 0.0, path=path)
    assert (off == plain).all() and (on != plain).any() and (off_again == plain).all()
    assert found.about["loaded_lora_adapters"] == [{"path": path, "scale": 0.0, "merge_mode": "runtime_peft"}]


def test_merged_is_the_same_as_loose_but_cannot_be_turned(write: Write) -> None:
    path = str(write())
    loose = pipeline("longlive", loras=[{"path": path}], lora_merge_strategy="runtime_peft").open("text")
    merged = pipeline("longlive", loras=[{"path": path}], lora_merge_strategy="none").open("text")
    a, b = (chunks(running, 0.0)[0] for running in (loose, merged))
    assert abs(a.astype(int) - b.astype(int)).max() <= 1
    merged.step(said(prompts="a cat", lora_scales=[{"path": path, "scale": 0.1}, {"path": "other", "scale": 1}]), ())
    words = [news.message["message"] for news in merged.news() if news.message["type"] == "warning"]
    assert "runtime_peft" in words[0] and "No LoRA 'other'" in words[1]


def test_a_turned_lora_goes_on_with_the_shot_unless_told_to_cut(write: Write) -> None:
    path = str(write())
    found = pipeline("longlive", loras=[{"path": path, "merge_mode": "runtime_peft"}])
    turned = said(prompts="a cat", lora_scales=[{"path": path, "scale": 0.5}])
    for rules, start in ((StreamRules(), 6), (StreamRules(on_lora="cuts"), 3)):
        running = DiffusionStream(found.recipe, found.parts, "text", Seeded(1), rules)
        running.step(said(prompts="a cat"), ())
        running.step(turned, ())
        assert running.start == start


@pytest.mark.parametrize("said_as", ["{path}", "mine/style.safetensors", "mine/style", "style.safetensors", "style"])
def test_every_way_to_name_a_file(write: Write, said_as: str) -> None:
    path = write()
    root = path.parents[1]
    assert find_lora(said_as.format(path=path), (root,)) == path


@pytest.mark.parametrize("said_as", ["../secret", "/etc/passwd", "mine/../../secret.safetensors", "nothing", ""])
def test_nothing_outside_the_folder_is_found(write: Write, said_as: str) -> None:
    root = write().parents[1]
    (root.parent / "secret.safetensors").write_bytes(b"")
    with pytest.raises(NotFound):
        find_lora(said_as, (root,))


def test_a_link_that_the_user_made_is_followed(write: Write, tmp_path: Path) -> None:
    path = write()
    elsewhere = tmp_path / "elsewhere.safetensors"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert find_lora("style", (path.parents[1],)) == path


def test_a_lora_of_another_model_says_so(write: Write) -> None:
    with pytest.raises(BadInput, match="another base model"):
        pipeline("longlive", loras=[{"path": str(write(wider=1))}])
    assert "LoRAs are left out" in pipeline("longlive", weights="preview", loras=[{"path": "style"}]).notice


@pytest.mark.parametrize("quantization", ["int8", "fp8_e4m3fn"])
def test_a_loose_lora_runs_beside_smaller_weights(write: Write, quantization: str) -> None:
    path = str(write())
    running = pipeline("longlive", quantization=quantization, loras=[{"path": path, "merge_mode": "runtime_peft"}]).open("text")
    off, on = chunks(running, 0.0, 1.0, path=path)
    assert (off != on).any()
