"""VACE: where hints land, what the context is made of, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scope.errors import BadInput
from scope.models.cache import CachePolicy, Call
from scope.models.memory import Memory
from scope.models.vace import Control, VaceBranch
from scope.models.vace_context import Encoders, Shown, context, extension, fit_image, mask_channels
from scope.models.wan import WanConfig
from tests.models.tiny_wan import COLS, CONFIG, ROWS, fill, latents, prompt, tiny


def branch(blocks: int = 2) -> VaceBranch:
    made = VaceBranch(CONFIG, blocks)
    fill(made, 7)
    return made.eval().requires_grad_(False)


def steered(scale: float, frames: int = 2, *, zero_keys_to: int = 1, control_frames: int | None = None) -> Tensor:
    net, hints = tiny(), branch()
    tokens = hints.tokens(torch.randn(1, control_frames or frames, 96, ROWS, COLS, generator=torch.Generator().manual_seed(3)))
    control = Control(hints, tokens, hints.read(net.embed_text(prompt())), scale, zero_keys_to)
    memory = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS))
    t = torch.full((1, frames), 500.0)
    out: Tensor = net(latents(frames), t, net.read(prompt()), memory.begin(Call(0, frames)), control)
    return out


def test_no_scale_is_no_control() -> None:
    net = tiny()
    memory = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS))
    plain = net(latents(2), torch.full((1, 2), 500.0), net.read(prompt()), memory.begin(Call(0, 2)))
    torch.testing.assert_close(steered(0.0), plain, atol=1e-6, rtol=0)
    assert (steered(1.0) - plain).abs().max() > 0.01


def test_surplus_context_is_cut_and_missing_context_is_zero() -> None:
    assert steered(1.0, control_frames=3).shape == latents(2).shape
    assert steered(1.0, control_frames=1).shape == latents(2).shape


def test_zero_keys_are_a_choice() -> None:
    """2 frames of 6 tokens: no padding is needed to a multiple of 12, and 116 keys of nothing change the answer."""
    torch.testing.assert_close(steered(1.0, zero_keys_to=12), steered(1.0), atol=1e-6, rtol=0)
    assert (steered(1.0, zero_keys_to=128) - steered(1.0)).abs().max() > 1e-3


def test_published_places() -> None:
    with torch.device("meta"):
        small = VaceBranch(WanConfig(8, 8, 2, 30), 15)
        large = VaceBranch(WanConfig(8, 8, 2, 40), 8)
    assert small.layers == tuple(range(0, 30, 2)) and large.layers == tuple(range(0, 40, 5))
    assert {k.split(".")[2] for k in small.state_dict() if k.startswith("vace_blocks.0.")} >= {"before_proj", "after_proj"}
    assert not any("before_proj" in k for k in small.state_dict() if not k.startswith("vace_blocks.0."))
    with pytest.raises(BadInput, match="hint blocks"):
        VaceBranch(CONFIG, 3, layers=(0, 1))
    with pytest.raises(BadInput, match="96"):
        branch().tokens(torch.zeros(1, 2, 32, ROWS, COLS))


class Log:
    """Encoders that note what they were given and answer with the mean of each 8x8 block of the first frame."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Tensor]] = []

    def encode(self, name: str, x: Tensor) -> Tensor:
        self.calls.append((name, x))
        frames = (x.shape[2] + 3) // 4
        small = torch.nn.functional.avg_pool2d(x[:, :1, 0], 8)
        return small.expand(-1, 16, -1, -1)[:, None].expand(-1, frames, -1, -1, -1)

    def encoders(self) -> Encoders:
        def named(name: str) -> object:
            return lambda x: self.encode(name, x)

        return Encoders(*(named(name) for name in ("stream", "again", "once")))  # type: ignore[arg-type]


def test_inpainting_splits_the_picture() -> None:
    log = Log()
    frames, mask = torch.full((1, 3, 5, 16, 16), 0.5), torch.zeros(1, 1, 5, 16, 16)
    mask[..., 8:] = 1
    made = context(Shown(frames, mask), (), log.encoders())
    assert made.shape == (1, 2, 96, 2, 2)
    (kept_by, kept), (made_by, new) = log.calls
    assert (kept_by, made_by) == ("stream", "once")
    assert kept[..., :8].eq(0.5).all() and kept[..., 8:].eq(0).all() and new[..., 8:].eq(0.5).all()
    assert made[0, :, 32:, :, 0].eq(0).all() and made[0, :, 32:, :, 1].eq(1).all()


def test_a_full_mask_streams_both_parts() -> None:
    log = Log()
    context(Shown(torch.ones(1, 3, 4, 16, 16), torch.ones(1, 1, 4, 16, 16)), (), log.encoders())
    assert [name for name, _ in log.calls] == ["stream", "again"]


def test_mask_channels_are_pixels_of_a_block() -> None:
    mask = torch.zeros(1, 1, 4, 16, 8)
    mask[0, 0, :, 8 + 3, 5] = 1
    channels = mask_channels(mask)
    assert channels.shape == (1, 1, 64, 2, 1) and channels.nonzero().tolist() == [[0, 0, 8 * 3 + 5, 1, 0]]


def test_references_come_first_with_an_empty_mask() -> None:
    log = Log()
    image = torch.ones(1, 3, 1, 16, 16)
    made = context(Shown(torch.zeros(1, 3, 4, 16, 16), torch.ones(1, 1, 4, 16, 16)), [image], log.encoders())
    assert made.shape[1] == 2 and made[0, 0, :16].eq(1).all() and made[0, 0, 16:].eq(0).all()
    with pytest.raises(BadInput, match="no reference"):
        context(None, (), log.encoders())


def test_given_end_frames() -> None:
    first, last = torch.full((1, 3, 1, 8, 8), 0.25), torch.full((1, 3, 1, 8, 8), -0.5)
    shown = extension(first, last, 12)
    assert shown.frames_BCTHW[0, 0, :, 0, 0].tolist() == [0.25] * 4 + [0.0] * 4 + [-0.5] * 4
    assert shown.mask_BCTHW[0, 0, :, 0, 0].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 4
    mask = torch.zeros(1, 1, 12, 8, 8)
    mask[..., 4:] = 1
    pasted = extension(first, None, 12, control=torch.full((1, 3, 12, 8, 8), 0.9), mask=mask).frames_BCTHW
    assert pasted[0, 0, 0, 0].tolist() == pytest.approx([0.9] * 4 + [0.25] * 4)
    for begin, end, frames in ((first, last, 4), (None, None, 12)):
        with pytest.raises(BadInput, match="end frames"):
            extension(begin, end, frames)


def test_images_cover_and_are_cut_at_the_centre() -> None:
    image = torch.zeros(16, 40, 3, dtype=torch.uint8)
    image[:, 12:28] = 255
    fitted = fit_image(image, 16, 16)
    assert fitted.shape == (1, 3, 1, 16, 16) and fitted.eq(1).all()
    assert fit_image(image, 8, 16).shape == (1, 3, 1, 8, 16)
