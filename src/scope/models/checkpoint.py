"""Weight files: mapped, not copied; unwrapped to plain names; written as others publish them (models-wan.md section 1).

Nothing here runs code found in a file: `.pt`, `.pth` and `.pkl` are read with torch's restricted loader only.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scope.errors import BadInput, NotFound

NESTS = ("generator_ema", "generator", "model", "state_dict", "generator_lora")  # where publishers put the tensors
PREFIXES = ("module.", "model.")  # of torch's DataParallel, and of whoever wraps a network
FSDP = "_fsdp_wrapped_module."
INDEX = ".safetensors.index.json"
TORCH = {".pt", ".pth", ".pkl", ".bin"}


def read(path: Path, nests: Sequence[str] = ()) -> dict[str, Tensor]:
    """Plain name -> tensor, on the CPU, mapped from the file where the format allows it, not yet read.

    `nests` are tried before the usual ones. A `model.` or `module.` that every name begins with is dropped, FSDP's fragment too.
    Raises NotFound when there is no file, BadInput when it holds code, is damaged or is of no known kind.
    """
    if not path.is_file():
        raise NotFound(f"no weights at {path}")
    if path.name.endswith(INDEX):
        found = _read_shards(path)
    elif path.suffix == ".safetensors":
        found = _read_safetensors(path)
    elif path.suffix in TORCH:
        found = _read_torch(path)
    else:
        raise BadInput(f"{path.name}: give a .safetensors, .pt, .pth, .pkl or .bin file")
    return plain_names(_unnest(found, (*nests, *NESTS), path))


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path.name} is damaged or not a safetensors file: {error}") from error


def _read_shards(path: Path) -> dict[str, Any]:
    names = sorted(set(json.loads(path.read_text())["weight_map"].values()))
    if absent := [name for name in names if not (path.parent / name).is_file()]:
        raise NotFound(f"{path.name} names {', '.join(absent)}, which is not in {path.parent}")
    return {name: tensor for shard in names for name, tensor in _read_safetensors(path.parent / shard).items()}


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path.name} holds something other than tensors; it is not opened, it could run code") from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise BadInput(f"{path.name} is damaged or not a torch file: {error}") from error
    if not isinstance(loaded, dict):
        raise BadInput(f"{path.name} holds a {type(loaded).__name__}, not tensors by name")
    return loaded


def _unnest(found: Mapping[str, Any], nests: Sequence[str], path: Path) -> dict[str, Tensor]:
    for nest in nests:
        if isinstance(found.get(nest), Mapping):
            found = found[nest]
            break
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadInput(f"{path.name} holds no tensors (it has {', '.join(map(str, list(found)[:5])) or 'nothing'})")
    return tensors


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without FSDP's fragment, and without `model.` or `module.` if every name has it."""
    names = {name: name.replace(FSDP, "") for name in tensors}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names.values()):
            names = {name: plain.removeprefix(prefix) for name, plain in names.items()}
    return {plain: tensors[name] for name, plain in names.items()}


def write(tensors: Mapping[str, Tensor], path: Path, *, nest: str | None = None, prefix: str = "") -> None:
    """Save in a published shape: names behind `prefix`, inside `nest` where the format can nest.

    Raises BadInput for a kind of file we do not write, or a nest in a safetensors file.
    """
    named = {prefix + name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors" and nest is None:
        save_file(named, path)
    elif path.suffix in TORCH:
        torch.save({nest: named} if nest else named, path)
    else:
        raise BadInput(f"{path.name} with nest {nest!r}: give .pt or .pth, or .safetensors without a nest")
