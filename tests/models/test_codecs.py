"""The video codecs as streams: chunks add up to the whole, state is a value, and the edges of a stream follow its rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from scope.errors import BadInput
from scope.models.codec import SCOPE, Codec, Past, Rules
from scope.models.tiny_vae import LIGHT_TINY_VAE, Stage, TinyVae, TinyVaeConfig, fit_spread
from scope.models.vae import VaeConfig, WanVae

SMALL = VaeConfig(base=4, blocks=1)
TINY = TinyVaeConfig(stages=(Stage(2, 2, 6, 6), Stage(2, 2, 6, 6), Stage(2, 1, 6, 8)), deep_encoder=6, deep_decoder=10, blocks=1)
F16 = TinyVaeConfig(  # pixels folded by 4, two halvings: 16 pixels to a cell
    stages=(Stage(2, 2, 6, 5), Stage(2, 2, 6, 6), Stage(1, 1, 6, 8)), deep_encoder=6, deep_decoder=8, blocks=1, latent=8, patch=4
)
STRAIGHT = TinyVaeConfig((Stage(2, 2, 0, 5), Stage(2, 2, 0, 6)), 0, 8, 1, 8, 4, "shuffle", straight=True)
FRAMES, LATENTS = 26, 7


def _models() -> Iterator[tuple[str, WanVae | TinyVae]]:
    torch.manual_seed(5)
    rows = {
        "wan": WanVae(SMALL),
        "wan-grouped": WanVae(replace(SMALL, latents_per_pass=3)),
        "pruned": WanVae(replace(SMALL, pruned=0.25)),
    }
    tiny = {
        "tiny": TINY,
        "light": replace(TINY, mean=LIGHT_TINY_VAE.mean, std=LIGHT_TINY_VAE.std),
        "f16": F16,
        "straight": STRAIGHT,
    }
    for name, model in (rows | {name: TinyVae(row) for name, row in tiny.items()}).items():
        model.eval().requires_grad_(False)
        _liven(model)
        yield name, model


def _liven(model: nn.Module) -> None:
    """Weights large enough that what a layer remembers reaches the output."""
    for key, value in model.named_parameters():
        if key.endswith("weight"):
            value.normal_(std=1.4 / math.sqrt(math.prod(value.shape[1:])))
        elif key.endswith("bias"):
            value.normal_(std=0.1)


MODELS: dict[str, Codec] = dict(_models())
any_codec = pytest.mark.parametrize("name", sorted(MODELS))


def clip(frames: int = FRAMES, cell: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(2, 3, frames, cell, 2 * cell, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def chunks(x: Tensor, sizes: list[int], axis: int) -> Iterator[Tensor]:
    start = 0
    for size in sizes:
        yield x.narrow(axis, start, min(size, x.shape[axis] - start))
        start = min(start + size, x.shape[axis])
    yield x.narrow(axis, start, x.shape[axis] - start)


@any_codec
@given(sizes=st.lists(st.integers(1, 9), max_size=8))
@settings(max_examples=12, deadline=None)
def test_encoding_in_chunks_is_encoding_the_whole(name: str, sizes: list[int]) -> None:
    codec, x = MODELS[name], clip()
    state = codec.open()
    whole = codec.encode(x, codec.open())
    parts = [codec.encode(part, state) for part in chunks(x, sizes, 2)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


@any_codec
@given(sizes=st.lists(st.integers(1, 4), max_size=6))
@settings(max_examples=12, deadline=None)
def test_decoding_in_chunks_is_decoding_the_whole(name: str, sizes: list[int]) -> None:
    codec = MODELS[name]
    z = codec.encode(clip())[:, :LATENTS]
    state = codec.open()
    parts = [codec.decode(part, state) for part in chunks(z, sizes, 1) if part.shape[1]]
    torch.testing.assert_close(torch.cat(parts, 1), codec.decode(z), atol=1e-5, rtol=0)


def test_a_streams_first_latent_stands_for_the_one_before_it() -> None:
    model = MODELS["straight"]
    assert isinstance(model, TinyVae) and model.straight is not None
    z = torch.randn(1, 8, 2, 2, generator=torch.Generator().manual_seed(2))
    pasts: tuple[Past, ...] = ({}, {"unfold": z[None]}, {"unfold": torch.zeros_like(z)[None]})
    first, again, dark = (model.straight.step(z, 1, past) for past in pasts)
    assert torch.equal(first, again) and not torch.allclose(first, dark)


@any_codec
def test_the_past_matters(name: str) -> None:
    """Otherwise the two tests above would pass for a codec without memory."""
    codec = MODELS[name]
    z = codec.encode(clip())
    later = codec.decode(z)[:, -4:]
    assert not torch.allclose(codec.decode(z[:, -2:])[:, -4:], later, atol=1e-3)


@any_codec
def test_first_latent_is_one_frame_and_each_other_four(name: str) -> None:
    codec, state = MODELS[name], MODELS[name].open(SCOPE)
    x = clip(25)
    assert codec.encode(x[:, :, :13], state).shape[1] == 4
    z = codec.encode(x[:, :, 13:], state)
    assert z.shape[1] == 3
    assert [codec.decode(z, state).shape[1] for _ in range(2)] == [9, 12]
    assert codec.decode(z).shape == (2, 9, 3, 16, 32)


@any_codec
def test_two_streams_on_one_model_do_not_meet(name: str) -> None:
    codec = MODELS[name]
    films = [clip(seed=1), clip(seed=2)]
    alone = [codec.encode(film, codec.open()) for film in films]
    states = [codec.open(), codec.open()]
    mixed: list[list[Tensor]] = [[], []]
    for part in range(0, FRAMES, 5):
        for film, state, out in zip(films, states, mixed, strict=True):
            out.append(codec.encode(film[:, :, part : part + 5], state))
    for out, wanted in zip(mixed, alone, strict=True):
        torch.testing.assert_close(torch.cat(out, 1), wanted, atol=1e-5, rtol=0)


@any_codec
def test_a_snapshot_continues_bit_for_bit(name: str) -> None:
    codec, state, x = MODELS[name], MODELS[name].open(), clip()
    z = codec.encode(x[:, :, :11], state)
    codec.decode(z, state)
    kept = state.snapshot()
    first = codec.encode(x[:, :, 11:], state), codec.decode(z, state)
    again = codec.encode(x[:, :, 11:], kept), codec.decode(z, kept)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@any_codec
def test_reset_forgets(name: str) -> None:
    codec, state, x = MODELS[name], MODELS[name].open(), clip(10)
    fresh = codec.encode(x, state), codec.decode(codec.encode(x), state)
    state.reset()
    again = codec.encode(x, state), codec.decode(codec.encode(x), state)
    assert all(torch.equal(a, b) for a, b in zip(fresh, again, strict=True))


@any_codec
def test_the_models_hold_no_state(name: str) -> None:
    codec = MODELS[name]
    assert isinstance(codec, torch.nn.Module)
    before = {key: value.clone() for key, value in codec.state_dict().items()}
    attributes = {key: set(vars(module)) for key, module in codec.named_modules()}
    codec.decode(codec.encode(clip(9), codec.open()), codec.open())
    assert not list(codec.buffers())
    assert attributes == {key: set(vars(module)) for key, module in codec.named_modules()}
    assert all(torch.equal(before[key], value) for key, value in codec.state_dict().items())


def test_leftover_frames_are_held_unless_the_original_is_asked_for() -> None:
    codec, x = MODELS["wan"], clip(17)
    held, dropped = codec.open(), codec.open(Rules(tail="original"))
    assert [codec.encode(part, held).shape[1] for part in torch.split(x, [3, 2, 1, 11], 2)] == [1, 1, 0, 3]
    assert [codec.encode(part, dropped).shape[1] for part in torch.split(x, [3, 2, 1, 11], 2)] == [1, 0, 0, 2]


def test_the_tiny_vae_makes_up_the_last_frames_only_when_the_original_is_asked_for() -> None:
    codec, x = MODELS["tiny"], clip(13)
    assert codec.encode(x, codec.open()).shape[1] == 3
    padded = torch.cat([x, x[:, :, -1:].repeat(1, 1, 3, 1, 1)], 2)
    original = codec.encode(x, codec.open(SCOPE))
    torch.testing.assert_close(original, codec.encode(padded, codec.open()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"straight"}))  # whose encoder remembers nothing
def test_who_clears_the_encoder(name: str) -> None:
    """Scope's one flag: every encode before the first decode starts over. Ours goes on."""
    codec, x = MODELS[name], clip(8 + 9)
    a, b = x[:, :, :9], x[:, :, 9:]
    ours, theirs = codec.open(), codec.open(Rules(tail="hold", fresh="until_decode"))
    z = codec.encode(a, ours)
    codec.encode(a, theirs)
    torch.testing.assert_close(torch.cat([z, codec.encode(b, ours)], 1), codec.encode(x, codec.open()), atol=1e-5, rtol=0)
    torch.testing.assert_close(codec.encode(b, theirs), codec.encode(b, codec.open()), atol=1e-5, rtol=0)
    codec.decode(z, theirs)
    after = codec.encode(b, theirs)
    assert not torch.allclose(after[:, :1], codec.encode(b, codec.open())[:, :1], atol=1e-4)


def test_unnormalised_means() -> None:
    torch.manual_seed(3)
    plain = WanVae(SMALL).requires_grad_(False)
    raw = WanVae(replace(SMALL, encodes="mean")).requires_grad_(False)
    raw.load_state_dict(plain.state_dict())
    mean, std = (torch.tensor(v)[:, None, None] for v in (SMALL.mean, SMALL.std))
    torch.testing.assert_close(plain.encode(clip(5)) * std + mean, raw.encode(clip(5)), atol=1e-5, rtol=0)


@any_codec
def test_sizes_that_do_not_fit_are_refused(name: str) -> None:
    codec = MODELS[name]
    with pytest.raises(BadInput, match="multiples of"):
        codec.encode(torch.zeros(1, 3, 5, 20, 32))


def test_older_decoders_keep_their_last_rows() -> None:
    model = TinyVae(TINY)
    key = "decoder.5.conv.weight"
    tensors = {k: v.clone() for k, v in model.state_dict().items()}
    wanted = tensors[key].clone()
    tensors[key] = torch.cat([torch.full_like(wanted, 9), wanted])
    model.load_state_dict(fit_spread(tensors, model))
    assert torch.equal(model.state_dict()[key], wanted)
