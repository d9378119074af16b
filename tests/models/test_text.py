"""The text encoder around UMT5: what it remembers, where its weights go, and every layout they come in."""

from __future__ import annotations

import gc
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scope.errors import BadInput, NotFound, Unavailable
from scope.models import checkpoint
from scope.models.keys import TRANSFORMERS_UMT5
from scope.models.text import Rest, TextEncoder, load_umt5, text_weights
from scope.models.tokens import END, Tokenizer, clean, load_tokenizer
from scope.models.umt5 import Umt5, Umt5Config, buckets
from scope.published import FILES

TINY = Umt5Config(vocabulary=200, dim=32, attention_dim=48, ffn_dim=64, heads=4, layers=2)
LETTERS = Tokenizer(lambda text: [2 + ord(letter) % 150 for letter in text], length=40)


class Maker:
    """Builds the same tiny encoder each time and counts how often it was asked, and how many prompts went through."""

    def __init__(self) -> None:
        self.built, self.encoded = 0, 0
        self.last: weakref.ref[Umt5] | None = None

    def __call__(self) -> Umt5:
        torch.manual_seed(1)
        model = Umt5(TINY).eval().requires_grad_(False)
        model.register_forward_pre_hook(self._count)
        self.built, self.last = self.built + 1, weakref.ref(model)
        return model

    def _count(self, _module: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        self.encoded += given[0].shape[0]


def test_known_prompts_are_not_encoded_again() -> None:
    maker = Maker()
    encoder = TextEncoder(maker, LETTERS)
    first = encoder.embed(["a cat", "a dog", "a cat"])
    assert maker.encoded == 2
    again = encoder.embed(["a dog", "a bird"])
    assert maker.encoded == 3 and maker.built == 1
    assert torch.equal(first[0], first[2]) and torch.equal(first[1], again[0])
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_the_least_recently_used_prompt_is_forgotten_first() -> None:
    maker = Maker()
    encoder = TextEncoder(maker, LETTERS, known=64)
    prompts = [f"prompt {i}" for i in range(64)]
    encoder.embed(prompts)
    encoder.embed([prompts[0]])
    encoder.embed(["one more"])
    assert maker.encoded == 65
    encoder.embed([prompts[0], prompts[2]])
    assert maker.encoded == 65
    encoder.embed([prompts[1]])
    assert maker.encoded == 66


def test_more_prompts_at_once_than_it_can_remember() -> None:
    encoder = TextEncoder(Maker(), LETTERS, known=2)
    assert len(encoder.embed([f"{i}" for i in range(5)])) == 5


def test_rows_past_the_end_are_zero_and_a_batch_changes_nothing() -> None:
    alone = TextEncoder(Maker(), LETTERS).embed(["ab"])[0]
    together = TextEncoder(Maker(), LETTERS).embed(["ab", "a much longer prompt"])[0]
    assert alone.shape == (1, 40, 32)
    assert alone[:, :3].abs().amin() > 0 and not alone[:, 3:].any()
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rest, built", [("stay", 1), ("host", 1), ("unload", 2)])
def test_where_the_weights_wait(rest: Rest, built: int) -> None:
    maker = Maker()
    encoder = TextEncoder(maker, LETTERS, rest=rest)
    first = encoder.embed(["one"])[0]
    gc.collect()
    assert maker.last is not None and (maker.last() is None) == (rest == "unload")
    assert torch.equal(encoder.embed(["one"])[0], first)
    encoder.embed(["two"])
    assert maker.built == built
    torch.testing.assert_close(TextEncoder(maker, LETTERS).embed(["one"])[0], first)


def test_no_prompts_is_refused_but_an_empty_one_is_not() -> None:
    encoder = TextEncoder(Maker(), LETTERS)
    with pytest.raises(BadInput):
        encoder.embed([])
    assert encoder.embed([""])[0][0, 0].abs().sum() > 0


def test_every_layout_of_the_weights(tmp_path: Path) -> None:
    model = Maker()()
    weights = dict(model.state_dict())
    theirs = TRANSFORMERS_UMT5.theirs(weights) | {"encoder.embed_tokens.weight": weights["token_embedding.weight"].clone()}
    checkpoint.write(weights, tmp_path / "wan.pth")
    checkpoint.write(weights, tmp_path / "wan.safetensors")
    checkpoint.write(theirs, tmp_path / "transformers.safetensors")
    for file in tmp_path.iterdir():
        loaded = load_umt5(file, config=TINY, dtype=torch.float32)
        assert all(torch.equal(loaded.state_dict()[name], value) for name, value in weights.items())
    with pytest.raises(BadInput, match="does not fit"):
        load_umt5(tmp_path / "wan.pth", config=replace(TINY, layers=3))


def test_fp8_files_and_small_storage(tmp_path: Path) -> None:
    model = Maker()()
    narrow = {k: v.to(torch.float8_e4m3fn) if "attn" in k or "ffn" in k else v.bfloat16() for k, v in model.state_dict().items()}
    checkpoint.write(narrow, tmp_path / "fp8.safetensors")
    ids, present = torch.tensor([[5, 9, 60, 1]]), torch.ones(1, 4, dtype=torch.bool)
    widened = load_umt5(tmp_path / "fp8.safetensors", config=TINY)
    kept = load_umt5(tmp_path / "fp8.safetensors", config=TINY, storage="fp8")
    small = load_umt5(tmp_path / "fp8.safetensors", config=TINY, storage="int8")
    assert kept.get_parameter("blocks.0.attn.q.weight").dtype == torch.float8_e4m3fn
    assert kept.get_parameter("token_embedding.weight").dtype == torch.bfloat16
    assert small.get_parameter("blocks.1.ffn.fc2.weight").dtype == torch.int8
    out = widened(ids, present)
    assert torch.equal(kept(ids, present), out), "fp8 weights are plain casts: widening early or late is the same"
    assert (small(ids, present) - out).norm() < 0.03 * out.norm()


def test_scaled_fp8_files_are_refused(tmp_path: Path) -> None:
    weights = dict(Maker()().state_dict()) | {"blocks.0.attn.q.scale_weight": torch.ones(1)}
    checkpoint.write(weights, tmp_path / "scaled.safetensors")
    with pytest.raises(BadInput, match="scale_weight"):
        load_umt5(tmp_path / "scaled.safetensors", config=TINY)


def test_the_smaller_file_is_preferred(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="umt5-xxl-enc-fp8_e4m3fn.safetensors from daydreamlive/WanVideo_comfy"):
        text_weights(tmp_path)
    for name in ("umt5-bf16", "umt5-fp8"):
        path = FILES[name].under(tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert text_weights(tmp_path) == path


def test_buckets_by_hand() -> None:
    distances = torch.tensor([0, -1, -7, -8, -127, -128, -1000, 1, 7, 8, 1000])
    assert buckets(distances).tolist() == [0, 1, 7, 8, 15, 15, 15, 17, 23, 24, 31]


def test_ids_end_with_the_end_mark_however_long_the_prompt() -> None:
    assert LETTERS("x" * 100)[-1] == END and len(LETTERS("x" * 100)) == 40
    assert LETTERS("") == [END]


def test_tokenizer_json(tmp_path: Path) -> None:
    import tokenizers

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁a", -1.0), ("▁cat", -2.0), ("s", -3.0)]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.enable_truncation(2)  # files may carry such settings; ours win
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path)("  a \n cats ") == [3, 4, 5, END]


def test_sentencepiece_model(tmp_path: Path) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a cat sat on a mat", "a dog sat on a cat"] * 10), model_prefix=str(tmp_path / "spiece"),
        vocab_size=20, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=9, hard_vocab_limit=False,
    )  # fmt: skip
    ids = load_tokenizer(tmp_path)("a cat")
    assert ids[-1] == END and len(ids) > 1 and 2 not in ids


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="tokenizer.json"):
        load_tokenizer(tmp_path)
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(Unavailable, match=r"scope-live\[text\]"):
        clean("a")
