"""LoRA files of three styles, merged and at run time, against golden/wan 12."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from scope.models.cache import CachePolicy, Call
from scope.models.lora import Adapters, Lora, merge, parse
from scope.models.memory import Memory
from scope.models.wan import WanTransformer
from tests.golden.case import Case, Tensors
from tests.golden.nets import wan_net

ATOL = 1e-5


def flow(net: WanTransformer, t: Tensors) -> Tensor:
    memory = Memory(CachePolicy(12, 3, protect_sink=True), net.room(*t["x"].shape[-2:]))
    out: Tensor = net(t["x"], t["t"], net.read(t["context"]), memory.begin(Call(0, t["x"].shape[1])))
    return out


def read(case: Case, net: WanTransformer, name: str, alpha: float | None = None) -> Lora:
    prefix = f"{name}/"
    file = {k.removeprefix(prefix): v for k, v in case.tensors.items() if k.startswith(prefix)}
    return parse(file, net, alpha=alpha, rules="original")


def apply(case: Case, net: WanTransformer, run: dict[str, Any]) -> None:
    loras = {name: (read(case, net, name), scale) for name, scale in run["loras"]}
    if run.get("perf"):
        loras["perf_lora"] = (read(case, net, "perf_lora"), 1.0)
    if run["mode"] == "permanent_merge":
        merge(net, list(loras.values()))
        return
    adapters = Adapters(net, loras)
    for name, scale in run.get("updates", []):
        adapters.set_scale(name, scale)


@pytest.mark.golden("12_lora")
def test_recorded_runs(case: Case) -> None:
    t = case.tensors
    case.close(flow(wan_net(case), t), "flow.base", atol=ATOL)
    for name, run in case.config["runs"].items():
        net = wan_net(case)
        apply(case, net, run)
        case.close(flow(net, t), f"flow.{name}", atol=ATOL)


@pytest.mark.golden("12_lora")
def test_alpha_from_outside_the_file(case: Case) -> None:
    for name, factor in (("perf_alpha_eq_rank", 1), ("perf_alpha_2rank", 2)):
        net = wan_net(case)
        merge(net, [(read(case, net, "perf_lora", alpha=factor * case.config["rank"]), 1.0)])
        case.close(flow(net, case.tensors), f"flow.{name}", atol=ATOL)
