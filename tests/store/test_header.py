"""What a LoRA file says about itself."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.errors import BadInput
from scope.store.header import About, about, check, clean_words
from tests.store.lora_files import lora, put, safetensors

SMALL = ("longlive", "streamdiffusionv2", "reward-forcing", "memflow")


@pytest.mark.parametrize("form", ["peft", "kohya", "diffusers"])
@pytest.mark.parametrize(
    ("width", "inner", "base", "pipelines"),
    [(1536, 8960, "Wan2.1 1.3B", SMALL), (5120, 13824, "Wan2.1 14B", ("krea-realtime-video",)), (3072, 14336, "Wan2.2 5B", ())],
)
def test_the_base_is_seen_in_the_shapes(
    tmp_path: Path, form: str, width: int, inner: int, base: str, pipelines: tuple[str, ...]
) -> None:
    path = put(tmp_path / "x.safetensors", lora(width, inner, 8, form=form, notes={"ss_base_model_version": "sdxl"}))
    found = about(path)
    assert (found.base_model, found.pipelines, found.rank) == (base, pipelines, 8)
    assert (found.problem is None) == bool(pipelines)
    check(path)


@pytest.mark.parametrize(
    "layer", ["transformer_blocks.0.attn.to_q", "double_blocks.0.img_attn.proj", "lora_unet_input_blocks_1_0_proj"]
)
def test_another_kind_of_network(tmp_path: Path, layer: str) -> None:
    content = safetensors(
        {f"{layer}.lora_A.weight": (4, 1536), f"{layer}.lora_B.weight": (1536, 4)}, {"modelspec.architecture": "sd3"}
    )
    found = about(put(tmp_path / "x.safetensors", content))
    assert (found.base_model, found.pipelines) == ("sd3", ()) and "sd3" in (found.problem or "")


def test_no_lora_at_all(tmp_path: Path) -> None:
    path = put(tmp_path / "x.safetensors", safetensors({"blocks.0.self_attn.q.weight": (8, 8)}))
    assert "no LoRA weights" in (about(path).problem or "")
    with pytest.raises(BadInput, match="no LoRA weights"):
        check(path)


BAD = {
    "empty": b"",
    "short": b"1234",
    "page": b"<!doctype html><html>Please log in</html>",
    "huge": struct.pack("<Q", 1 << 60),
    "no json": struct.pack("<Q", 4) + b"abcd",
    "list": struct.pack("<Q", 2) + b"[]",
    "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "odd": struct.pack("<Q", 9) + b'{"a":"b"}',
    "cut": lora()[:-1],
    "cut in front": lora()[:100],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_file(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "x.safetensors", BAD[name])
    assert about(path).problem
    with pytest.raises(BadInput):
        check(path)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda text: struct.pack("<Q", len(text)) + text))
def test_no_content_breaks_the_list(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content)
    assert isinstance(about(path), About)


TAGS = json.dumps({"10_x": {"zxc style": 12, "rain": 3}, "5_y": {"dog": 2}})


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"modelspec.trigger_phrase": "zxc style, neon "}, ("zxc style", "neon")),
        ({"trigger_words": '["zxc", "zxc", ""]'}, ("zxc",)),
        ({"ss_tag_frequency": TAGS, "ss_num_train_images": "12"}, ("zxc style",)),
        ({"ss_tag_frequency": "{", "ss_num_train_images": "12"}, ()),
        ({"ss_tag_frequency": "[1]"}, ()),
        ({"ss_tag_frequency": '{"a": {"b": "many"}}', "ss_num_train_images": "?"}, ()),
        ({"modelspec.trigger_phrase": "a\nb\x00" + "x" * 1000}, ("ab" + "x" * 198,)),
        ({}, ()),
    ],
)
def test_trigger_words(tmp_path: Path, notes: dict[str, str], words: tuple[str, ...]) -> None:
    assert about(put(tmp_path / "x.safetensors", lora(notes=notes))).trigger_words == words


def test_words_are_few() -> None:
    assert len(clean_words(range(100))) == 10
