"""What a client asks for at load, made into what a pipeline takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from scope.catalog import Catalog
from scope.contract import Change, Options, Spec
from scope.errors import BadInput
from scope.runtime.door import explain

ALIASES = {"seed": "base_seed", "denoising_step_list": "denoising_steps"}
MOST_STAGES = 8


@dataclass(frozen=True, slots=True)
class StageRequest:
    """One pipeline of the chain a client asks for."""

    node_id: str
    pipeline_id: str
    load_params: Change = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One pipeline of a chain as it will be loaded."""

    node_id: str
    spec: Spec
    options: Change

    def as_json(self) -> Change:
        return {"node_id": self.node_id, "pipeline_id": self.spec.id, "options": self.options}


def plan(catalog: Catalog, wanted: Sequence[StageRequest]) -> tuple[StagePlan, ...]:
    """Check a chain before anything is loaded. Raises NotFound, Unavailable or BadInput with one sentence."""
    if not wanted:
        raise BadInput("Either 'pipelines' or 'pipeline_ids' must be provided")
    if len(wanted) > MOST_STAGES:
        raise BadInput(f"a chain has at most {MOST_STAGES} pipelines, this one has {len(wanted)}")
    nodes = [stage.node_id for stage in wanted]
    if len(set(nodes)) < len(nodes):
        raise BadInput("every node_id of a chain must be different")
    return tuple(_plan_stage(catalog, stage) for stage in wanted)


def _plan_stage(catalog: Catalog, stage: StageRequest) -> StagePlan:
    untrained = stage.load_params.get("weights") == "random"
    spec = catalog.find(stage.pipeline_id) if untrained else catalog.loadable(stage.pipeline_id)
    return StagePlan(stage.node_id, spec, resolve(spec, stage.load_params))


def resolve(spec: Spec, load_params: Mapping[str, Any]) -> Change:
    """Options as plain values: aliases followed, sizes snapped down to what the model can do, the rest checked.

    Foreign keys are ignored, since clients send the same dict to every pipeline of a chain. Raises BadInput.
    """
    given = {ALIASES.get(key, key): value for key, value in load_params.items()}
    known = {key: value for key, value in given.items() if key in spec.options.model_fields and value is not None}
    try:
        options = spec.options.model_validate(known)
    except ValidationError as error:
        raise BadInput(f"{spec.id}: {explain(error, 'load_params')}") from error
    return _snapped(options, spec.min_dimension)


def _snapped(options: Options, step: int) -> Change:
    values = options.model_dump(mode="json")
    step = max(2, step)
    for key in {"height", "width"} & values.keys():
        values[key] = max(step, values[key] // step * step)
    return values
