"""The product's own stream against the recorded sessions of the other four pipelines (golden/stream)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from torch import Tensor
from torch.nn.functional import pad

from scope.contract import Mode
from scope.frame import Frame
from scope.models.blend import SCOPE as SCOPE_BLEND
from scope.models.codec import Codec, CodecState, Rules
from scope.pipelines.diffusion import DiffusionStream, Draw, Parts, StreamRules
from scope.pipelines.recipes import RECIPES
from tests.golden.case import Case
from tests.golden.nets import transformer
from tests.golden.sessions import policy_of, video_of, weights_of
from tests.golden.test_diffusion import Driver
from tests.golden.toy_vae import ToyVae

ATOL = RTOL = 1e-4
AS_RECORDED = StreamRules(noise="recorded", later_steps="kept", prompts=SCOPE_BLEND, bank="blind")


class ToyState(CodecState):
    """A reset of the stream is a reset of the one toy."""

    toy: ToyVae

    def reset(self) -> None:
        self.toy.clear()


class ToyCodec:
    """The stand-in VAE of the recordings behind the product's face."""

    def __init__(self, toy: ToyVae) -> None:
        self._toy = toy

    def open(self, rules: Rules) -> CodecState:
        state = ToyState()
        state.toy = self._toy
        return state

    def encode(self, x_BCTHW: Tensor, state: CodecState | None = None) -> Tensor:
        return self._toy.encode(x_BCTHW, cached=state is not None)

    def decode(self, z_BFChw: Tensor, state: CodecState | None = None) -> Tensor:
        return self._toy.decode(z_BFChw).transpose(1, 2)


class RowDriver(Driver):
    """The same, for recordings of the other four."""

    def __init__(self, case: Case) -> None:
        self.case = case
        meta, common = case.meta, case.sibling(case.meta["common"])
        given, config = common.floats(), case.meta["model_config"]
        net = transformer(config, weights_of(common)[0])
        rows = {text: given[f"prompt{i}"] for i, text in enumerate(meta["prompt_order"])}
        wide = {text: pad(e, (0, 0, 0, config["text_len"] - len(e)))[None] for text, e in rows.items()}
        self.size = meta["height"], meta["width"]
        latent = self.size[0] // 8, self.size[1] // 8
        codec = cast(Codec, ToyCodec(ToyVae(given["vae.E"], given["vae.D"])))
        self.parts = Parts(net, codec, wide.__getitem__, latent, self.size)
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

    def run(self, index: int) -> None:
        self.index = index
        args = self.case.meta["calls"][index]["args"]
        mode: Mode = "video" if "video" in args else "text"
        if self.stream is None or args.get("init_cache", self.stream.mode != mode):
            self.stream = DiffusionStream(self.recipe, self.parts, mode, self.recorded_noise, self.rules)
            self.prompts = None
        config = self.case.meta["pipeline_config"]
        if self.stream.start >= config["max_rope_freq_table_seq_len"] - config["num_frame_per_block"]:
            self.stream.cut(keep_bank=True)  # the cut at the end of the originals' position table
        self.stream.step(self.params(args), self.shown(index, "video" in args))

    def shown(self, index: int, video: bool) -> list[Frame]:
        if not video:
            return []
        small = self.case.tensors[f"c{index}.video_small"]
        wide = video_of(small, len(small), self.size)[0].permute(1, 2, 3, 0).byte().numpy()
        return [Frame.from_rgb(picture, 0.0) for picture in wide]


@pytest.mark.golden("streamdiffusionv2.", "krea-realtime-video.", "reward-forcing.", "memflow.", without="vace")
def test_the_stream_is_the_recorded_session(case: Case) -> None:
    driver, tensors = RowDriver(case), case.floats()
    for index in range(len(case.meta["calls"])):
        driver.run(index)
        assert driver.stream is not None and driver.stream.past is not None
        wanted = tensors[f"c{index}.latents"]
        case.close(driver.stream.past[:, -wanted.shape[1] :], wanted, atol=ATOL, rtol=RTOL)
