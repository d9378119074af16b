"""The way from a published file (`published.py` has the table) into a model, without a second copy in memory.

A model is built on torch's `meta` device (no memory), given memory once, in its final place and type, and filled tensor by
tensor from the mapped file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from scope.errors import BadInput
from scope.models import checkpoint
from scope.models.keys import in_our_names
from scope.models.pour import Region, pour, regions_of
from scope.published import Published

Model = TypeVar("Model", bound=nn.Module)
DtypeOf = Callable[[str, torch.dtype], torch.dtype]  # (name, type in the file) -> type in the model


@dataclass(frozen=True, slots=True)
class Report:
    """What did not match between a file and a model."""

    missing: tuple[str, ...] = ()  # in the model, not in the file
    unexpected: tuple[str, ...] = ()  # in the file, not in the model
    misshapen: tuple[str, ...] = ()  # "name: file [..], model [..]"

    def __str__(self) -> str:
        parts = {"missing": self.missing, "of another shape": self.misshapen, "not wanted": self.unexpected}
        said = (
            f"{len(names)} {what}: {', '.join(names[:3])}{', ...' * (len(names) > 3)}" for what, names in parts.items() if names
        )
        return "; ".join(said) or "everything matched"


def on_meta(make: Callable[[], Model]) -> Model:
    """A model without memory: its shapes only."""
    with torch.device("meta"):
        return make()


def load(
    model: nn.Module,
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | DtypeOf = torch.bfloat16,
    row: Published | None = None,
    may_lack: Collection[str] = (),
) -> Report:
    """Fill `model` (built with `on_meta`) from a published file, straight into its place and type, and freeze it.

    `may_lack` are beginnings of names whose absence from the file is fine; those parameters become zero.
    Names the model does not know are in the report. Raises BadInput when others are missing or shapes differ, and as
    `checkpoint.read` does.
    """
    files = _parts(path)
    tensors = in_our_names(checkpoint.read(path, row.nests if row else ()))
    return fill(model, tensors, device=device, dtype=dtype, may_lack=may_lack, regions=regions_of(files), source=path.name)


def fill(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | DtypeOf = torch.bfloat16,
    may_lack: Collection[str] = (),
    regions: tuple[Region, ...] = (),
    source: str = "the weights",
) -> Report:
    """As `load`, from tensors already in hand; those mapped from a file inside `regions` are not kept resident."""
    report = compare(model, tensors)
    if report.misshapen or any(not name.startswith(tuple(may_lack)) for name in report.missing):
        raise BadInput(f"{source} does not fit this model: {report}")
    assert not any(buffer.is_meta for buffer in model.buffers()), "buffers are not in checkpoints; compute them when needed"
    typed: DtypeOf = dtype if callable(dtype) else lambda _name, _stored: dtype
    for name, parameter in list(model.named_parameters()):
        stored = tensors.get(name)
        kind = typed(name, parameter.dtype if stored is None else stored.dtype)
        made = torch.empty(parameter.shape, dtype=kind, device=device)
        if stored is None:
            made.zero_()
        else:
            pour(stored, made, regions)
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(made, requires_grad=False))
    model.eval()
    return report


def compare(model: nn.Module, tensors: Mapping[str, Tensor]) -> Report:
    """What would not match."""
    wanted = {name: tuple(p.shape) for name, p in model.named_parameters()}
    misshapen = (
        f"{name}: file {list(tensors[name].shape)}, model {list(shape)}"
        for name, shape in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    )
    missing = tuple(name for name in wanted if name not in tensors)
    return Report(missing, tuple(name for name in tensors if name not in wanted), tuple(misshapen))


def _parts(path: Path) -> list[Path]:
    """The files the tensors lie in: a sharded index stands for its neighbours."""
    return list(path.parent.glob("*.safetensors")) if path.name.endswith(checkpoint.INDEX) else [path]
