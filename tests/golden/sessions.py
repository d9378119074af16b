"""What a recorded Scope session says about its networks, policies and pictures."""

from __future__ import annotations

from torch import Tensor

from scope.models.cache import BankPolicy, CachePolicy
from scope.models.vace import VaceBranch
from scope.models.wan import WanConfig
from tests.golden.case import Case, Tensors


def weights_of(common: Case) -> tuple[Tensors, Tensors]:
    """The generator's and the VACE module's parameters."""
    mine = {k.removeprefix("w."): v for k, v in common.floats().items() if k.startswith("w.")}
    vace = {k: v for k, v in mine.items() if k.startswith("vace_")}
    return {k: v for k, v in mine.items() if k not in vace}, vace


def policy_of(case: Case) -> CachePolicy:
    """The row of the pipeline a case recorded (models-stream.md 1.2), with the originals' faults switched on."""
    config, base = case.meta["pipeline_config"], case.meta["base_model_kwargs"]
    window, chunk, sink = config["local_attn_size"], config["num_frame_per_block"], base.get("sink_size", 3)
    rows = {
        "streamdiffusionv2": CachePolicy(window, sink, chunk),
        "krea-realtime-video": CachePolicy(window, 0, chunk, zero_keys_to=128),
        "reward-forcing": CachePolicy(window, sink, chunk, on_evict="blend", positions="relative"),
        "memflow": CachePolicy(window, sink, chunk, protect_sink=True, deferred=not has_vace(case), bank=bank_of(case)),
    }
    return rows[case.meta["pipeline"]]


def bank_of(case: Case) -> BankPolicy | None:
    config, base = case.meta["pipeline_config"], case.meta["base_model_kwargs"]
    if "record_interval" not in config or has_vace(case):
        return None
    return BankPolicy(base["bank_size"], base["record_interval"], config["record_interval"], count="frames")


def has_vace(case: Case) -> bool:
    return bool(case.meta["common"] == "common.vace")


def vace_branch(config: WanConfig, weights: Tensors, layers: tuple[int, ...]) -> VaceBranch:
    blocks = len({k.split(".")[1] for k in weights if k.startswith("vace_blocks.")})
    branch = VaceBranch(config, blocks, layers=layers)
    branch.load_state_dict(weights)
    return branch.eval().requires_grad_(False)


def wide(small: Tensor) -> Tensor:
    """Recorded pictures [T, H/8, W/8, C] at their full size."""
    return small.repeat_interleave(8, 1).repeat_interleave(8, 2)
