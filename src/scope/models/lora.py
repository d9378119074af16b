"""LoRA: read every layout, merge for good, or run beside the weights with a scale that can change between two passes.

Shape suffixes: T tokens, I layer input, O layer output, R rank (all adapters of a layer side by side).
(models-wan.md section 15; `lora_names.py` knows the spellings.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from scope.errors import BadInput, NotFound
from scope.models.lora_names import Part, flat_table, spell

SHOWN = 5  # how many offending keys an error names


@dataclass(frozen=True, slots=True)
class Delta:
    """One layer's change: up_OR @ down_RI * factor, factor = alpha / rank (1 without alpha)."""

    down_RI: Tensor
    up_OR: Tensor
    factor: float

    def full(self) -> Tensor:
        """[O, I] in float32."""
        return self.factor * (self.up_OR.float() @ self.down_RI.float())


@dataclass(frozen=True, slots=True)
class Lora:
    """A file read for one network: change per layer, and the keys that name no Linear layer of it."""

    deltas: Mapping[str, Delta]
    unused: tuple[str, ...]


def linears(net: nn.Module) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of every linear layer, quantised or not, by its published name."""
    weights = {name: getattr(module, "weight", None) for name, module in net.named_modules()}
    return {name: (w.shape[0], w.shape[1]) for name, w in weights.items() if isinstance(w, Tensor) and w.ndim == 2}


def parse(
    tensors: Mapping[str, Tensor],
    net: nn.Module,
    *,
    alpha: float | None = None,
    rules: Literal["right", "original"] = "right",
) -> Lora:
    """Read a LoRA file's tensors for `net`. `alpha` is for files that carry none (LongLive's and MemFlow's own: 256).

    rules "original": alpha of `diffusion_model.` lora_A/lora_B files is ignored, as Scope does. Raises BadInput if no key fits, a
    layer lacks a half, or shapes belong to another base model; the text lists what did not match.
    """
    layers = linears(net)
    parts, unused = _collect(tensors, layers, drop_alpha=rules == "original")
    if not parts:
        raise BadInput(f"this LoRA changes no layer of this model; its first keys: {', '.join(list(tensors)[:SHOWN]) or 'none'}")
    halves = [layer for layer, found in parts.items() if not {"down", "up"} <= found.keys()]
    if halves:
        raise BadInput(f"only one half of the LoRA weights for {_some(halves)}")
    deltas = {layer: _delta(found, alpha) for layer, found in parts.items()}
    _check_shapes(deltas, layers)
    return Lora(deltas, tuple(unused))


def _collect(
    tensors: Mapping[str, Tensor], layers: Mapping[str, tuple[int, int]], *, drop_alpha: bool
) -> tuple[dict[str, dict[Part, Tensor]], list[str]]:
    flat = flat_table(layers)
    parts: dict[str, dict[Part, Tensor]] = {}
    unused: list[str] = []
    comfy: set[str] = set()
    for key, tensor in tensors.items():
        read = spell(key, flat)
        if read is None or read.layer not in layers:
            unused.append(key)
        else:
            parts.setdefault(read.layer, {})[read.part] = tensor
            comfy |= {read.layer} if read.comfy else set()
    for layer in comfy if drop_alpha else ():
        parts[layer].pop("alpha", None)
    return parts, unused


def _delta(found: Mapping[Part, Tensor], alpha: float | None) -> Delta:
    down, up = found["down"].flatten(1), found["up"].flatten(1)
    given = float(found["alpha"]) if "alpha" in found else alpha
    return Delta(down, up, 1.0 if given is None else given / len(down))


def _check_shapes(deltas: Mapping[str, Delta], layers: Mapping[str, tuple[int, int]]) -> None:
    wrong = []
    for name, delta in deltas.items():
        have = (delta.up_OR.shape[0], delta.down_RI.shape[1])
        want = layers[name]
        if have != want or delta.up_OR.shape[1] != len(delta.down_RI):
            wrong.append(f"{name} is {have[0]}x{have[1]} in the file, {want[0]}x{want[1]} in the model")
    if wrong:
        raise BadInput(f"this LoRA was made for another base model: {_some(wrong)}")


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more


@torch.no_grad()
def merge(net: nn.Module, loras: Sequence[tuple[Lora, float]]) -> None:
    """Add every (LoRA, scale) to the weights for good: summed in float32, cast once.

    Raises BadInput if a layer is quantised already; nothing is changed then.
    """
    layers = {name: net.get_submodule(name) for lora, _ in loras for name in lora.deltas}
    for name, layer in layers.items():
        if not isinstance(layer, nn.Linear):
            raise BadInput(f"{name} is quantised; a LoRA must be merged before that, or run beside it")
    for name in layers:
        weight = net.get_parameter(f"{name}.weight")
        total = weight.float()
        for lora, scale in loras:
            if name in lora.deltas:
                total = total + scale * lora.deltas[name].full().to(weight.device)
        weight.copy_(total)


class AdaptedLinear(nn.Module):
    """A layer with the adapters of all its LoRAs side by side: two thin products, added inside the second one."""

    def __init__(self, base: nn.Module, deltas: Sequence[Delta], scales: Sequence[Tensor]) -> None:
        super().__init__()
        self.base = base
        like = base.bias if isinstance(base.bias, Tensor) else base.weight  # a quantised weight's type is not the layer's
        assert isinstance(like, Tensor)
        self.down_RI = nn.Buffer(torch.cat([d.down_RI.to(like) for d in deltas]), persistent=False)
        ups = [(d.up_OR.float() * d.factor).to(like).T for d in deltas]
        self.up_RO = nn.Buffer(torch.cat(ups).contiguous(), persistent=False)
        self.ranks = [len(d.down_RI) for d in deltas]
        self._scales = list(scales)

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        y: Tensor = self.base(x)
        scale_R = torch.cat([s.to(self.down_RI.dtype).expand(rank) for s, rank in zip(self._scales, self.ranks, strict=True)])
        thin_TR = linear(x.flatten(0, -2), self.down_RI) * scale_R
        return torch.addmm(y.flatten(0, -2), thin_TR, self.up_RO).view_as(y)


class Adapters:
    """LoRAs running beside a network's weights, by name; scales can be changed at any time and take effect in the next pass."""

    def __init__(self, net: nn.Module, loras: Mapping[str, tuple[Lora, float]]) -> None:
        self._net = net
        device = next(net.parameters()).device
        self._scales = {name: torch.tensor([scale], device=device) for name, (_, scale) in loras.items()}
        self._wrapped: dict[str, nn.Module] = {}
        for layer in dict.fromkeys(layer for lora, _ in loras.values() for layer in lora.deltas):
            users = [name for name, (lora, _) in loras.items() if layer in lora.deltas]
            deltas = [loras[name][0].deltas[layer] for name in users]
            base = self._wrapped[layer] = net.get_submodule(layer)
            _replace(net, layer, AdaptedLinear(base, deltas, [self._scales[name] for name in users]))

    def set_scale(self, name: str, scale: float) -> None:
        """Raises NotFound for a LoRA that is not attached."""
        if name not in self._scales:
            raise NotFound(f"no LoRA {name!r} is attached; there are: {', '.join(self._scales) or 'none'}")
        self._scales[name].fill_(scale)

    def scales(self) -> dict[str, float]:
        return {name: float(scale) for name, scale in self._scales.items()}

    def detach(self) -> None:
        """Take all adapters off; the network is bit for bit what it was."""
        for layer, base in self._wrapped.items():
            _replace(self._net, layer, base)
        self._wrapped.clear()


def _replace(net: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    net.get_submodule(parent).register_module(child, layer)
