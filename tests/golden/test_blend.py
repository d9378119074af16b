"""Prompt blends and transitions against the original, faults included where we keep them behind a name."""

from __future__ import annotations

from typing import get_args

import pytest

from scope.models.blend import RIGHT, SCOPE, Method, Rules, blend, shares, slerp, transition
from tests.golden.case import Case

ATOL = 2e-6
both_rules = pytest.mark.parametrize("rules", [RIGHT, SCOPE], ids=["right", "scope"])  # recorded inputs are well conditioned


@pytest.mark.golden("08_")
@both_rules
def test_blends(case: Case, rules: Rules) -> None:
    for name, given in case.config.items():
        inputs = [case.tensors[f"in{i}"] for i in given["inputs"]]
        case.close(blend(inputs, given["weights"], given["method"], rules), f"blend.{name}", atol=ATOL)


@pytest.mark.golden("08_")
@both_rules
def test_slerp(case: Case, rules: Rules) -> None:
    for name in (k for k in case.meta["shapes"] if k.startswith("slerp.t")):
        t = float(name.removeprefix("slerp.t"))
        case.close(slerp(case.tensors["in0"], case.tensors["in1"], t, rules), name, atol=ATOL)


@pytest.mark.golden("08_")
def test_weights(case: Case) -> None:
    for name in (k for k in case.meta["shapes"] if k.startswith("weights.")):
        weights = [float(w) for w in name.removeprefix("weights.").split("_")]
        case.close(shares(weights, case.tensors["in0"]), name, atol=ATOL)


@pytest.mark.golden("08_")
@pytest.mark.parametrize("method", get_args(Method))
def test_transitions(case: Case, method: Method) -> None:
    source, target = case.tensors["in0"], case.tensors["in2"]
    names = [k for k in case.meta["shapes"] if k.startswith(f"transition.{method}.n")]
    for steps in {int(name.split(".")[2].removeprefix("n")) for name in names}:
        queue = transition(source, target, steps, method, SCOPE)
        case.equal(len(queue), steps)
        for i, embedding in enumerate(queue):
            case.close(embedding, f"transition.{method}.n{steps}.{i}", atol=ATOL)
        if steps > 1:
            right = transition(source, target, steps, method, RIGHT)
            for i, embedding in enumerate(right):
                case.close(embedding, f"transition.{method}.n{steps}.{i}", atol=ATOL)


@pytest.mark.golden("08_")
def test_too_close_to_move(case: Case) -> None:
    source = case.tensors["in0"]
    near = source + 0.001 / source.numel() ** 0.5
    case.equal(int(case.tensors["transition.too_close_active"]), len(transition(source, near, 4)))
