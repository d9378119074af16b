"""The product's own stream against every recorded session of the other four pipelines (golden/stream), call by call.

From the recording it takes what the models do not decide: what a client said, the noise, when the originals cut at the end of
their position table. Compared are latents, keys and values of the dumped layers, MemFlow's bank, encoded video, VACE's context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from torch import Tensor
from torch.nn.functional import pad

from scope.contract import Mode
from scope.frame import Frame
from scope.models.blend import SCOPE as SCOPE_BLEND
from scope.models.codec import Codec, CodecState, Rules
from scope.models.pictures import Picture
from scope.models.vace_context import Encoders, context
from scope.pipelines import steering
from scope.pipelines.denoising import Chunkwise
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import RECIPES
from scope.pipelines.rules import Draw, StreamRules
from scope.pipelines.words import Words
from tests.golden.case import Case
from tests.golden.nets import in_order, transformer
from tests.golden.sessions import policy_of, vace_branch, weights_of, wide
from tests.golden.test_diffusion import Driver
from tests.golden.toy_vae import ToyVae

ATOL = RTOL = 1e-4
AS_RECORDED = StreamRules(noise="recorded", later_steps="kept", prompts=SCOPE_BLEND, bank="blind", vace="shared")


class ToyState(CodecState):
    """A reset of the stream is a reset of the one toy."""

    toy: ToyVae

    def reset(self) -> None:
        self.toy.clear()


class ToyCodec:
    """The stand-in VAE of the recordings behind the product's face; keeps what the stream encoded."""

    def __init__(self, toy: ToyVae) -> None:
        self._toy = toy
        self.encoded: list[Tensor] = []

    def open(self, rules: Rules) -> CodecState:
        state = ToyState()
        state.toy = self._toy
        return state

    def encode(self, x_BCTHW: Tensor, state: CodecState | None = None) -> Tensor:
        self.encoded.append(self._toy.encode(x_BCTHW, cached=state is not None))
        return self.encoded[-1]

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        return self._toy.decode(z_BFChw).transpose(1, 2)


class RowDriver(Driver):
    """The same, for recordings of the other four."""

    def __init__(self, case: Case) -> None:
        self.case = case
        meta, common = case.meta, case.sibling(case.meta["common"])
        given, config = common.floats(), meta["model_config"]
        main, vace = weights_of(common)
        net = transformer(config, main)
        rows = {text: given[f"prompt{i}"] for i, text in enumerate(meta["prompt_order"])}
        padded = {text: pad(e, (0, 0, 0, config["text_len"] - len(e)))[None] for text, e in rows.items()}
        size = meta["height"], meta["width"]
        self.codec = ToyCodec(ToyVae(given["vae.E"], given["vae.D"]))
        branch = vace_branch(net.config, vace, tuple(meta["vace_layers"])) if vace else None
        words, latent = Words(padded.__getitem__, beside=False), (size[0] // 8, size[1] // 8)
        images = case.tensors.__getitem__
        self.parts = Parts(net, cast(Codec, self.codec), words, latent, size, branch, images)
        shift = meta["base_model_kwargs"].get("timestep_shift", 8.0)
        row = RECIPES[meta["pipeline"]]
        steps = tuple(meta["calls"][0]["denoising_steps"])  # what the original falls back on
        self.recipe = replace(row, base=net.config, policy=policy_of(case), shift=shift, text_steps=steps, video_steps=steps)
        self.rules = replace(AS_RECORDED, advance="chunk" if meta["pipeline"] == "reward-forcing" else "frames")
        self.stream: DiffusionStream | None = None
        self.always: dict[str, Any] = {}

    def recorded_noise(self, start: int) -> Draw:
        """The noises of the call in progress, in the order they were drawn."""
        index, tensors, count = self.index, self.case.floats(), iter(range(100))
        return lambda shape: tensors[f"c{index}.noise{next(count)}"].reshape(*shape)

    def run(self, index: int) -> DiffusionStream:
        self.index = index
        self.codec.encoded.clear()
        args = self.case.meta["calls"][index]["args"]
        self.always |= {key: args[key] for key in ("vace_context_scale",) if key in args}
        mode: Mode = "video" if "video" in args else "text"
        if self.stream is None or args.get("init_cache", self.stream.mode != mode):
            self.stream = DiffusionStream(self.recipe, self.parts, mode, self.recorded_noise, self.rules)
            self.prompts = None
        config = self.case.meta["pipeline_config"]
        if self.stream.start >= config["max_rope_freq_table_seq_len"] - config["num_frame_per_block"]:
            self.stream.cut(keep_bank=True)  # the cut at the end of the originals' position table
        if self.stream.steering and "vace_input_frames" in args:
            masks = self.pictures("vace_input_masks") if "vace_input_masks" in args else ()
            self.stream.steering.show(self.pictures("vace_input_frames"), masks)
        frames = [Frame.from_rgb(picture, 0.0) for picture in self.pictures("video")] if "video" in args else []
        self.stream.step(self.params(args), frames)
        return self.stream

    def pictures(self, name: str) -> Sequence[Picture]:
        pixels = wide(self.case.tensors[f"c{self.index}.{name}_small"])
        return list(pixels.expand(-1, -1, -1, 3).numpy())


def check_caches(case: Case, stream: DiffusionStream, tensors: dict[str, Tensor], index: int) -> None:
    assert isinstance(stream.denoising, Chunkwise)
    memory = stream.denoising.memory
    for layer in range(memory.room.layers):
        for part, stored in (("k", memory.raw or memory.k), ("v", memory.v)):
            if (name := f"c{index}.kv{layer}.{part}") in tensors:
                kept = in_order(memory, stored[layer])[:, : tensors[name].shape[1]]
                case.close(kept, tensors[name], atol=ATOL, rtol=RTOL)
        if memory.bank and f"c{index}.bank{layer}.k" in tensors:
            begin = memory.bank.window * memory.room.grid.frame_tokens
            found = {"k": memory.k[layer][:, begin:], "v": memory.v[layer][:, begin:]}
            found |= {"k_new": memory.bank.new_k[layer], "v_new": memory.bank.new_v[layer]}
            for name, tensor in found.items():
                case.close(tensor, tensors[f"c{index}.bank{layer}.{name}"], atol=ATOL, rtol=RTOL)


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Every context that VACE was given."""
    seen: list[Tensor] = []

    def watched(shown: Any, images: Any, encoders: Encoders) -> Tensor:
        seen.append(context(shown, images, encoders))
        return seen[-1]

    monkeypatch.setattr(steering, "context", watched)
    return seen


@pytest.mark.golden("streamdiffusionv2.", "krea-realtime-video.", "reward-forcing.", "memflow.")
def test_the_stream_is_the_recorded_session(case: Case, contexts: list[Tensor]) -> None:
    driver, tensors = RowDriver(case), case.floats()
    for index, row in enumerate(case.meta["calls"]):
        contexts.clear()
        stream = driver.run(index)
        assert stream.past is not None
        wanted = tensors[f"c{index}.latents"]
        case.close(stream.past[:, -wanted.shape[1] :], wanted, atol=ATOL, rtol=RTOL)
        if "video" in row["args"]:
            case.close(driver.codec.encoded[0], tensors[f"c{index}.enc0.latent"], atol=ATOL)
        case.equal(len(contexts), int(f"c{index}.vace_context" in tensors))
        for found in contexts:
            case.close(found[0].transpose(0, 1), tensors[f"c{index}.vace_context"], atol=ATOL)
        check_caches(case, stream, tensors, index)
