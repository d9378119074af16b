"""A processor's own net from its published file, where there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from scope.errors import BadInput, NotFound
from scope.models import checkpoint
from scope.models.weights import fill, on_meta
from scope.published import NEEDS, locate, published

Net = TypeVar("Net", bound=nn.Module)
log = logging.getLogger(__name__)


def published_net(
    pipeline: str,
    make: Callable[[Mapping[str, Tensor]], Net],
    models_dir: Path,
    device: torch.device,
    dtype: torch.dtype,
) -> Net:
    """The net that `make` builds for what the file holds. Raises NotFound saying what to fetch, BadInput when it does not fit."""
    name = NEEDS[pipeline][0]
    try:
        path = locate(name, models_dir)
    except NotFound as error:
        raise NotFound(f"{error}: scope models download {pipeline}") from error
    tensors = checkpoint.read(path, published(name).nests)
    net = on_meta(lambda: make(tensors))
    fill(net, tensors, device=device, dtype=dtype, source=path.name)
    return net


def if_wanted(wish: Literal["auto", "net"], device: torch.device, load: Callable[[], Net]) -> Net | None:
    """The net, if it was asked for; by itself only on a GPU, and then its absence is no failure."""
    if wish == "net":
        return load()
    if device.type != "cuda":
        return None
    try:
        return load()
    except (NotFound, BadInput) as error:
        log.info("going on without a net: %s", error)
        return None
