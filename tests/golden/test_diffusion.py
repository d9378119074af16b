"""The product's own stream against the whole recorded LongLive pipeline (golden/wan 13), pixels in, pixels out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from torch import Tensor
from torch.nn.functional import pad

from scope.contract import Mode, Rest
from scope.frame import Frame
from scope.models.blend import SCOPE as SCOPE_BLEND
from scope.models.codec import SCOPE as SCOPE_CODEC
from scope.models.pictures import to_unit
from scope.models.vae import WanVae
from scope.pipelines.conditioning import Conditioning
from scope.pipelines.diffusion import DiffusionStream
from scope.pipelines.family import WanParams
from scope.pipelines.parts import Parts
from scope.pipelines.recipes import Recipe
from scope.pipelines.rules import Seeded, StreamRules
from scope.pipelines.words import Words
from tests.golden.case import Case
from tests.golden.nets import wan_net, wan_policy
from tests.golden.test_vae import config_of

ATOL = 2e-5
AS_RECORDED = StreamRules(noise="recorded", later_steps="kept", codec=SCOPE_CODEC, prompts=SCOPE_BLEND)


def parts_of(case: Case) -> Parts:
    net, config = wan_net(case), case.config
    weights = case.sibling(config["vae_weights"])
    vae = WanVae(config_of(weights.config))
    vae.load_state_dict(weights.tensors)
    given = {key.removeprefix("embed."): value for key, value in case.tensors.items() if key.startswith("embed.")}
    wide = {text: pad(row, (0, 0, 0, net.config.text_len - len(row)))[None] for text, row in given.items()}
    rows, columns = config["latent_hw"]
    words = Words(wide.__getitem__, beside=False)
    return Parts(net, vae.eval().requires_grad_(False), words, (rows, columns), (rows * 8, columns * 8))


class Driver:
    """Tells a stream what a recorded client said, call by call: prompts repeated unchanged are not said again."""

    method: str = "linear"
    prompts: list[dict[str, Any]] | None = None

    def __init__(self, case: Case, *, overlap: bool = False) -> None:
        self.case, self.parts, self.overlap = case, parts_of(case), overlap
        config = case.config
        self.recipe = Recipe(self.parts.net.config, wan_policy(config), "longlive", shift=config["shift"], recache=True)
        self.stream: DiffusionStream | None = None
        self.always = {"manage_cache": config["manage_cache"]}

    def call(self, index: int, args: dict[str, Any]) -> list[Frame]:
        return list(self.begin(index, args)())

    def begin(self, index: int, args: dict[str, Any]) -> Rest:
        mode: Mode = "video" if f"chunk{index}.input" in self.case.tensors else "text"
        if self.stream is None or args.get("init_cache", self.stream.mode != mode):
            noises = Seeded(self.case.config["base_seed"])
            self.stream = DiffusionStream(self.recipe, self.parts, mode, noises, AS_RECORDED, overlap=self.overlap)
            self.prompts = None
        limit = self.case.config["max_rope_freq_table_seq_len"] - self.case.config["frames_per_chunk"]
        if self.stream.start >= limit:  # the cut we do not make
            self.stream.cut()
        return self.stream.begin(self.params(args), self.frames(index))

    def params(self, args: dict[str, Any]) -> WanParams:
        """What holds for one call; prompts are fresh only when they are not those of the call before."""
        given = {key: value for key, value in args.items() if key in WanParams.model_fields}
        given["prompt_interpolation_method"] = args.get("spatial_interpolation_method", self.method)
        fresh = set(given) if given.get("prompts") != self.prompts else set(given) - {"prompts"}
        self.method, self.prompts = given["prompt_interpolation_method"], given.get("prompts", self.prompts)
        params = WanParams.model_validate(self.always | {"prompts": self.prompts or ()} | given)
        object.__setattr__(params, "__pydantic_fields_set__", fresh)
        return params

    def frames(self, index: int) -> list[Frame]:
        given: Tensor | None = self.case.tensors.get(f"chunk{index}.input")
        return [] if given is None else [Frame.from_rgb(picture, 0.0) for picture in given.numpy()]


@pytest.mark.golden("13_e2e_")
def test_the_stream_is_the_recorded_pipeline(case: Case) -> None:
    driver = Driver(case)
    for index, args in enumerate(case.config["calls"]):
        frames = driver.call(index, args)
        stream = driver.stream
        assert stream is not None and stream.past is not None
        wanted = case.tensors[f"chunk{index}.latents"]
        case.close(stream.past[:, -wanted.shape[1] :], wanted, atol=ATOL)
        assert isinstance(stream.conditioning, Conditioning) and stream.conditioning.current is not None
        case.close(stream.conditioning.current, f"chunk{index}.cond", atol=2e-6)
        recorded = case.tensors[f"chunk{index}.video"].numpy()
        assert len(frames) == len(recorded)
        assert stream.decoding.pixels is not None
        case.close(to_unit(stream.decoding.pixels[:, -len(recorded) :]), f"chunk{index}.video", atol=ATOL)
        case.equal(stream.start, int(case.tensors[f"chunk{index}.end_frame"]))


@pytest.mark.golden("13_e2e_")
def test_decoding_beside_the_next_chunk_changes_nothing(case: Case) -> None:
    expected, beside = Driver(case), Driver(case, overlap=True)
    calls = list(enumerate(case.config["calls"]))
    with ThreadPoolExecutor(1) as thread:
        coming = [thread.submit(beside.begin(index, args)) for index, args in calls]
        found = [list(future.result()) for future in coming]
    for (index, args), frames in zip(calls, found, strict=True):
        wanted = expected.call(index, args)
        assert len(frames) == len(wanted) and all((a.i420() == b.i420()).all() for a, b in zip(frames, wanted, strict=True))
