"""Weights on their way between files and models: every published layout, refusals, and how much memory it takes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from scope.errors import BadInput, NotFound
from scope.models import checkpoint
from scope.models.keys import DIFFUSERS_WAN, TRANSFORMERS_UMT5, KeyMap
from scope.models.tiny_vae import Stage, TinyVae, TinyVaeConfig
from scope.models.vae import VaeConfig, WanVae
from scope.models.wan import WanConfig, WanTransformer
from scope.models.weights import compare, fill, load, on_meta
from scope.published import FILES, Published, locate, published

WAN = WanConfig(dim=24, ffn_dim=40, heads=2, layers=2, freq_dim=8, text_dim=16, text_len=8)
TINY = TinyVaeConfig(stages=(Stage(2, 2, 4, 4), Stage(2, 1, 4, 6)), deep_encoder=4, deep_decoder=8, blocks=1)


def make_wan() -> nn.Module:
    return WanTransformer(WAN)


def make_vae() -> nn.Module:
    return WanVae(VaeConfig(base=4, blocks=1))


def make_tiny() -> nn.Module:
    return TinyVae(TINY)


MAKERS = {"wan": make_wan, "vae": make_vae, "tiny": make_tiny}
ROWS = [name for name, row in FILES.items() if not row.file.endswith((".json", "umt5-xxl", ".pkl"))]


def random_weights(kind: str) -> dict[str, Tensor]:
    shapes = on_meta(MAKERS[kind]).state_dict()
    return {
        name: torch.randn(value.shape, generator=torch.Generator().manual_seed(i))
        for i, (name, value) in enumerate(shapes.items())
    }


def same(model: nn.Module, weights: dict[str, Tensor]) -> bool:
    state = model.state_dict()
    return state.keys() == weights.keys() and all(torch.equal(state[k], weights[k]) for k in state)


def file_for(row: Published, folder: Path) -> Path:
    path = row.under(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", ROWS)
def test_every_published_shape_comes_back(name: str, kind: str, tmp_path: Path) -> None:
    row, weights = FILES[name], random_weights(kind)
    path = file_for(row, tmp_path)
    for nest in row.nests or (None,):
        checkpoint.write(weights, path, nest=nest, prefix=row.prefix)
        model = on_meta(MAKERS[kind])
        report = load(model, locate(name, tmp_path), dtype=torch.float32, row=row)
        assert same(model, weights)
        assert str(report) == "everything matched"


def test_shards(tmp_path: Path) -> None:
    weights = random_weights("wan")
    names = list(weights)
    parts = {"a-00001.safetensors": names[::2], "a-00002.safetensors": names[1::2]}
    for part, inside in parts.items():
        save_file({k: weights[k] for k in inside}, tmp_path / part)
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {k: part for part, inside in parts.items() for k in inside}}))
    model = on_meta(make_wan)
    load(model, index, dtype=torch.float32)
    assert same(model, weights)
    (tmp_path / "a-00002.safetensors").unlink()
    with pytest.raises(NotFound, match="a-00002"):
        checkpoint.read(index)


def test_the_row_decides_which_of_two_nests_is_read(tmp_path: Path) -> None:
    ema, plain = {"w": torch.ones(2)}, {"w": torch.zeros(2)}
    torch.save({"generator": plain, "generator_ema": ema, "step": 7}, tmp_path / "x.pt")
    assert checkpoint.read(tmp_path / "x.pt", FILES["longlive"].nests)["w"].sum() == 0
    assert checkpoint.read(tmp_path / "x.pt", FILES["self-forcing"].nests)["w"].sum() == 2


def test_prefixes_go_only_when_all_have_them() -> None:
    one = torch.zeros(1)
    assert set(checkpoint.plain_names({"model.a": one, "model.model.b": one})) == {"a", "model.b"}
    assert set(checkpoint.plain_names({"model.a": one, "b": one})) == {"model.a", "b"}
    assert set(checkpoint.plain_names({"model._fsdp_wrapped_module.a": one})) == {"a"}


def test_old_torch_files_are_read(tmp_path: Path) -> None:
    weights = random_weights("tiny")
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    model = on_meta(make_tiny)
    load(model, tmp_path / "old.pth", dtype=torch.float32)
    assert same(model, weights)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("old", [False, True])
def test_code_in_a_file_is_refused_and_not_run(old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.zeros(1), "x": Bomb()}, "bad.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(BadInput, match="could run code"):
        checkpoint.read(Path("bad.pt"))
    assert not Path("exploded").exists()


def test_what_is_not_weights_is_refused(tmp_path: Path) -> None:
    files = {
        "a.safetensors": b"\x08\0\0\0\0\0\0\0garbage!",
        "b.pt": b"garbage",
        "c.pth": b"",
        "d.ckpt": b"x",
        "e.pt": pickle.dumps(3, protocol=2),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput):
            checkpoint.read(tmp_path / name)
    torch.save({"generator": {"step": 3}}, tmp_path / "f.pt")
    torch.save([torch.zeros(1)], tmp_path / "g.pt")
    for name in ("f.pt", "g.pt"):
        with pytest.raises(BadInput, match="holds"):
            checkpoint.read(tmp_path / name)
    with pytest.raises(NotFound):
        checkpoint.read(tmp_path / "absent.pt")
    with pytest.raises(BadInput):
        checkpoint.write({}, tmp_path / "x.safetensors", nest="generator")


def test_absent_files_say_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"models/longlive_base.pt from daydreamlive/LongLive-1.3B"):
        locate("longlive", tmp_path)
    with pytest.raises(NotFound, match="longlive"):
        published("long-live")


def test_what_does_not_match_is_said() -> None:
    weights = random_weights("wan")
    gone, extra = weights.pop("head.head.bias"), {"vace_blocks.0.x": torch.zeros(1)}
    weights["head.modulation"] = torch.zeros(3)
    report = compare(on_meta(make_wan), weights | extra)
    assert report.missing == ("head.head.bias",)
    assert report.unexpected == ("vace_blocks.0.x",)
    assert "head.modulation: file [3], model [1, 2, 24]" in str(report)
    with pytest.raises(BadInput, match="head.modulation"):
        fill(on_meta(make_wan), weights, may_lack=("head.head",))
    weights["head.modulation"] = torch.zeros(1, 2, 24)
    with pytest.raises(BadInput, match="1 missing: head.head.bias"):
        fill(on_meta(make_wan), weights | extra)
    model = on_meta(make_wan)
    report = fill(model, weights | extra, dtype=torch.float32, may_lack=("head.head",))
    assert report.unexpected == ("vace_blocks.0.x",)
    assert torch.equal(model.state_dict()["head.head.bias"], torch.zeros_like(gone))


def test_type_by_name() -> None:
    weights = {k: v.to(torch.float8_e4m3fn) if k.endswith("q.weight") else v for k, v in random_weights("wan").items()}

    def kept(_name: str, stored: torch.dtype) -> torch.dtype:
        return stored if stored == torch.float8_e4m3fn else torch.bfloat16

    model = on_meta(make_wan)
    fill(model, weights, dtype=kept)
    kinds = {name.endswith("q.weight"): p.dtype for name, p in model.named_parameters()}
    assert kinds == {True: torch.float8_e4m3fn, False: torch.bfloat16}
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("names", [DIFFUSERS_WAN, TRANSFORMERS_UMT5], ids=["diffusers", "transformers"])
def test_key_maps_go_both_ways(names: KeyMap) -> None:
    theirs = [names.to_theirs(ours.replace("{i}", "13") + ".weight") for ours, _ in names.pairs]
    assert len(set(theirs)) == len(names.pairs)
    assert [names.to_ours(name) for name in theirs] == [ours.replace("{i}", "13") + ".weight" for ours, _ in names.pairs]


def test_a_file_in_diffusers_names_is_recognised(tmp_path: Path) -> None:
    weights = random_weights("wan")
    theirs = DIFFUSERS_WAN.theirs(weights)
    assert "condition_embedder.time_proj.weight" in theirs and "blocks.1.attn2.to_out.0.bias" in theirs
    checkpoint.write(theirs, tmp_path / "x.safetensors")
    model = on_meta(make_wan)
    load(model, tmp_path / "x.safetensors", dtype=torch.float32)
    assert same(model, weights)


LOADING = """
import sys, torch
from pathlib import Path
from torch import nn
from scope.models.weights import load, on_meta
def resident(what):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(what))
torch.zeros(1).bfloat16().float()
before = resident("VmRSS")
model = on_meta(lambda: nn.Sequential(*(nn.Linear({wide}, {wide}) for _ in range({layers}))))
load(model, Path(sys.argv[1]), dtype=getattr(torch, sys.argv[2]))
print(resident("VmHWM") - before, sum(float(p.float().sum()) for p in model.parameters()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured through /proc")
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_loading_takes_hardly_more_memory_than_the_model(suffix: str, dtype: str, tmp_path: Path) -> None:
    wide, layers, size = 3500, 6, 6 * 3500 * 3501 * (4 if dtype == "float32" else 2)
    torch.manual_seed(0)
    weights = {f"{i}.weight": torch.rand(wide, wide) for i in range(layers)} | {
        f"{i}.bias": torch.rand(wide) for i in range(layers)
    }
    total = sum(float(v.to(getattr(torch, dtype)).float().sum()) for v in weights.values())
    path = tmp_path / f"big{suffix}"
    checkpoint.write(weights, path, nest="generator" if suffix == ".pt" else None, prefix="model.")
    del weights
    code = LOADING.format(wide=wide, layers=layers)
    env = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    said = subprocess.run([sys.executable, "-c", code, path, dtype], capture_output=True, text=True, check=True, env=env)
    peak, loaded = said.stdout.split()
    assert float(loaded) == pytest.approx(total, rel=1e-5), "pages given back too early would be zeros"
    assert int(peak) <= 1.15 * size + (32 << 20) * (dtype == "bfloat16")  # a slice of the wider file while it is narrowed
