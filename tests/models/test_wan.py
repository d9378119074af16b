"""The transformer: chunks add up to the whole, streams do not disturb each other, nothing stops it from being captured."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from scope.errors import BadInput
from scope.models.cache import CachePolicy, Call
from scope.models.memory import Memory
from scope.models.wan import WAN_1_3B, WAN_14B, WanConfig, WanTransformer, patch_tokens, pixels_of
from scope.models.whole import WholeClip, block_causal_mask
from tests.models.tiny_wan import COLS, CONFIG, ROWS, chunk, latents, prompt, tiny


def random_sizes(total: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    sizes: list[int] = []
    while sum(sizes) < total:
        sizes.append(draw.randint(1, min(4, total - sum(sizes))))
    return sizes


def uneven_mask(sizes: list[int], frame_tokens: int) -> Tensor:
    block = torch.tensor([i for i, size in enumerate(sizes) for _ in range(size)]).repeat_interleave(frame_tokens)
    return torch.zeros(len(block), len(block)).masked_fill(block[None] > block[:, None], float("-inf"))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_chunks_add_up_to_the_whole(seed: int, positions: str) -> None:
    net, total = tiny(), 9
    sizes = random_sizes(total, seed)
    x, t = latents(total), torch.linspace(0, 1000, total)[None]
    text = net.read(prompt())
    policy = CachePolicy(total, 0, 1, positions="absolute" if positions == "absolute" else "relative")
    memory = Memory(policy, net.room(ROWS, COLS))
    out, start = [], 0
    for size in sizes:
        part = slice(start, start + size)
        out.append(net(x[:, part], t[:, part], text, memory.begin(Call(start, size))))
        start += size
    grid = net.grid(ROWS, COLS)
    view = WholeClip(grid, total, device=x.device, mask_TS=uneven_mask(sizes, grid.frame_tokens))
    torch.testing.assert_close(torch.cat(out, 1), net(x, t, text, view), atol=1e-5, rtol=0)


def test_equal_blocks_are_the_training_mask() -> None:
    torch.testing.assert_close(block_causal_mask(6, 4, block=2, window=-1), uneven_mask([2, 2, 2], 4))


def test_a_window_hides_older_blocks() -> None:
    mask = block_causal_mask(6, 1, block=2, window=4)
    assert [int((row == 0).sum()) for row in mask] == [2, 2, 4, 4, 4, 4]


@pytest.mark.parametrize("start", [1021, 1024, 5000, 10**6])
def test_positions_never_run_out(start: int) -> None:
    """Attention knows only distances, so a stream that begins late answers as one that begins at 0."""
    net = tiny()
    x, t, text = latents(3), torch.full((1, 3), 500.0), net.read(prompt())
    early, late = (Memory(CachePolicy(6, 0, 3), net.room(ROWS, COLS)) for _ in range(2))
    late.end = start
    expected = net(x, t, text, early.begin(Call(0, 3)))
    torch.testing.assert_close(net(x, t, text, late.begin(Call(start, 3))), expected, atol=2e-5, rtol=0)


def test_streams_share_weights_and_nothing_else() -> None:
    net = tiny()
    policy = CachePolicy(6, 2, 2)
    alone = Memory(policy, net.room(ROWS, COLS))
    expected = [chunk(net, alone, start, start) for start in (0, 2, 4, 6)]
    one, other = (Memory(policy, net.room(ROWS, COLS)) for _ in range(2))
    found = []
    for start in (0, 2, 4, 6):
        found.append(chunk(net, one, start, start))
        chunk(net, other, start, 50 + start)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_rows_of_a_batch_are_independent() -> None:
    net = tiny()
    x, t, text = latents(2).repeat(2, 1, 1, 1, 1), torch.tensor([[700.0] * 2, [300.0] * 2]), net.read(prompt())
    x[1] *= 0.5
    memory = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS, batch=2))
    both = net(x, t, text, memory.begin(Call(0, 2)))
    for row in range(2):
        single = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS))
        out = net(x[row : row + 1], t[row : row + 1], text, single.begin(Call(0, 2)))
        torch.testing.assert_close(both[row : row + 1], out, atol=1e-5, rtol=0)


def test_patches_and_back() -> None:
    """The head's values are ordered (row, column, channel); a layer that copies pixels must give the picture back."""
    conv = torch.nn.Conv3d(16, 64, (1, 2, 2), (1, 2, 2))
    weight = torch.zeros(64, 16, 2, 2)
    for row in range(2):
        for col in range(2):
            for channel in range(16):
                weight[(row * 2 + col) * 16 + channel, channel, row, col] = 1
    conv.weight.data, conv.bias = weight.unsqueeze(2), None
    x = latents(2)
    torch.testing.assert_close(pixels_of(patch_tokens(x, conv), ROWS // 2), x)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_the_patch_product_is_the_convolution(patch: int) -> None:
    net, x = tiny(replace(CONFIG, patch=patch)), latents(3)[..., :4]
    convolved = net.patch_embedding(x.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)
    torch.testing.assert_close(patch_tokens(x, net.patch_embedding), convolved, atol=1e-5, rtol=0)


def test_a_network_that_says_x0_gives_the_flow_to_it() -> None:
    plain, x = tiny(), latents(2)
    says = tiny(replace(CONFIG, predicts="clean"))  # the same weights
    text, t = plain.read(prompt()), torch.tensor([[700.0, 100.0]])
    said, flow = (net(x, t, text, WholeClip(net.grid(ROWS, COLS), 2, device=x.device)) for net in (plain, says))
    torch.testing.assert_close((x - 0.7 * flow)[:, 0], said[:, 0], atol=1e-5, rtol=0)
    half_way = 0.5 * (x + said)  # below the floor of 0.2 a step of 0.1 goes half of the way
    torch.testing.assert_close((x - 0.1 * flow)[:, 1], half_way[:, 1], atol=1e-5, rtol=0)


def test_what_cannot_be_used_is_refused() -> None:
    net = tiny()
    with pytest.raises(BadInput, match="multiples of 2"):
        patch_tokens(torch.zeros(1, 1, 16, 3, 4), net.patch_embedding)
    with pytest.raises(BadInput, match="at most 9"):
        net.read(torch.zeros(1, 10, CONFIG.text_dim))


def test_configuration_rows() -> None:
    row = {"dim": 1536, "ffn_dim": 8960, "freq_dim": 256, "in_dim": 16, "out_dim": 16, "num_heads": 12, "num_layers": 30}
    assert WanConfig.from_json(row | {"patch_size": [1, 2, 2]}).patch == 2
    assert WanConfig.from_json(row | {"text_len": 512, "eps": 1e-6, "_class_name": "WanModel"}) == WAN_1_3B
    with torch.device("meta"):
        counts = [sum(p.numel() for p in WanTransformer(config).parameters()) for config in (WAN_1_3B, WAN_14B)]
    assert counts == [1_418_996_800, 14_288_491_584]


def test_a_new_prompt_is_read_into_place() -> None:
    net = tiny()
    text, other = net.read(prompt(1)), net.read(prompt(5))
    place = [k.data_ptr() for k in text.k]
    text.take(other)
    assert [k.data_ptr() for k in text.k] == place
    assert all(torch.equal(a, b) for a, b in zip(text.v, other.v, strict=True))


def test_half_precision_stays_half() -> None:
    net = tiny().to(torch.bfloat16)
    memory = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS))
    text = net.read(prompt().bfloat16())
    out = net(latents(2).bfloat16(), torch.full((1, 2), 700.0), text, memory.begin(Call(0, 2)))
    assert out.dtype == memory.k[0].dtype == torch.bfloat16
    exact = Memory(CachePolicy(4, 0, 2), tiny().room(ROWS, COLS))
    wide = tiny()
    expected = wide(latents(2), torch.full((1, 2), 700.0), wide.read(prompt()), exact.begin(Call(0, 2)))
    assert (out.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_the_sink_is_what_the_row_says() -> None:
    """Changing one number of the row changes what is remembered."""
    net = tiny()
    policy = CachePolicy(4, 1, 1)
    found = []
    for row in (policy, replace(policy, sink=0)):
        memory = Memory(row, net.room(ROWS, COLS))
        found.append([chunk(net, memory, start, start) for start in range(6)])
    assert torch.equal(found[0][3], found[1][3])
    assert not torch.allclose(found[0][5], found[1][5], atol=1e-3)
