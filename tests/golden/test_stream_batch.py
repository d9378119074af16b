"""The product's own stream with schedule 'batch' against the original's recorded one (golden/stream, sdv2.orig_batch*).

Where the sink adapts, the original takes its empty slots for stale as soon as the ring is full (models-stream.md 4.3); that
fault is not ours, and such a record counts up to there. `test_sdv2.py` has the rest of it, with the fault switched on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import pytest
from torch import Tensor

from scope.frame import Frame
from scope.models.codec import Codec, CodecState
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import WanParams
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import RECIPES
from scope.pipelines.rules import Draw, StreamRules
from scope.pipelines.stream_batch import StreamBatch
from scope.pipelines.words import Words
from tests.golden.case import Case
from tests.golden.nets import transformer
from tests.golden.sdv2_loop import ring_policy
from tests.golden.sessions import weights_of, wide
from tests.golden.test_rows import ToyCodec
from tests.golden.toy_vae import ToyVae

ATOL = RTOL = 1e-4
AS_RECORDED = StreamRules(noise="recursive", later_steps="kept")


class Watched(ToyCodec):
    """Keeps what was decoded."""

    def __init__(self, toy: ToyVae) -> None:
        super().__init__(toy)
        self.decoded: list[Tensor] = []

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        self.decoded.append(z_BFChw)
        return super().decode(z_BFChw, state)


def recorded_noise(case: Case, steps: int) -> Callable[[int], Draw]:
    """The start chunk's noises, then those of each iteration; the original draws for rows that sit out here as well."""
    tensors = case.floats()

    def chunk(start: int) -> Draw:
        iteration = start - 1 if start else 0  # the first chunk has two latents, each later one has one
        roles = [f"noise.encode{iteration}"]
        count = steps - 1
        roles += [f"noise.renoise{(iteration - 1) * count + i}" if start else f"noise.prepare{i}" for i in range(count)]
        names: Iterator[str] = iter(roles)

        def draw(shape: Sequence[int]) -> Tensor:
            return tensors[next(names)].reshape(*shape)

        return draw

    return chunk


def stream_of(case: Case) -> tuple[DiffusionStream, Watched]:
    common, steps = case.sibling(case.meta["common"]), tuple(case.meta["denoising_step_list"])
    given = common.floats()
    net = transformer(common.meta["model_config"], weights_of(common)[0])
    codec = Watched(ToyVae(given["vae.E"], given["vae.D"], shared_flag=False))
    size = case.meta["height"], case.meta["width"]
    words = Words(lambda text: given["prompt0"][None], beside=False)
    parts = Parts(net, cast(Codec, codec), words, (size[0] // 8, size[1] // 8), size)
    row = RECIPES["streamdiffusionv2"]
    recipe = replace(row, base=net.config, shift=case.meta["shift"], video_steps=steps, ring=ring_policy(case.meta))
    noises = recorded_noise(case, len(steps))
    return DiffusionStream(recipe, parts, "video", noises, AS_RECORDED, schedule="batch"), codec


@pytest.mark.golden("sdv2.orig_batch")
def test_every_chunk_is_finished_as_recorded(case: Case) -> None:
    stream, codec = stream_of(case)
    pictures = wide(case.tensors["video_small"]).numpy()
    params = WanParams.model_validate({"prompts": "the recorded prompt", "noise_scale": case.meta["init_noise_scale"]})
    adapts = case.meta["adapt_sink_threshold"] > -1
    behind = len(case.meta["denoising_step_list"]) - 1
    for number, row in enumerate(case.meta["calls"]):
        if adapts and row["chunk"] > stream.recipe.policy.window + 1:
            return
        begin, end = row["frames"]
        frames = [Frame.from_rgb(picture, 0.0) for picture in pictures[begin:end]]
        made = stream.step(params, frames)
        case.equal(len(codec.decoded), 1 + max(0, number - behind))
        if not number:
            case.close(codec.decoded[0], "p0.latents", atol=ATOL, rtol=RTOL)
        elif number > behind:
            case.close(codec.decoded[-1], case.tensors[f"p{row['chunk']}.latents"][-1:], atol=ATOL, rtol=RTOL)
        assert len(made) == (5 if not number else 4 * (number > behind))
    schedule = stream.denoising
    assert isinstance(schedule, StreamBatch) and schedule.ring is not None
    check_ring(case, schedule, case.meta["calls"][-1]["chunk"])


def check_ring(case: Case, schedule: StreamBatch, chunk: int) -> None:
    """The rings of the last iteration, row by row; slots may be others, frames are not."""
    assert schedule.ring is not None
    for layer in range(schedule.ring.room.layers):
        for part, stored in (("k", schedule.ring.k), ("v", schedule.ring.v)):
            if (name := f"p{chunk}.kv{layer}.{part}") in case.tensors:
                case.close(stored[layer], case.tensors[name], atol=ATOL, rtol=RTOL)
