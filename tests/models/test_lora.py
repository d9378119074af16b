"""LoRA: every spelling reads back, merged equals running beside, scales live, wrong bases are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scope.errors import BadInput, NotFound
from scope.models.cache import CachePolicy, Call
from scope.models.keys import DIFFUSERS_WAN
from scope.models.lora import Adapters, Lora, linears, merge, parse
from scope.models.memory import Memory
from scope.models.quantize import Quantisation, quantise
from scope.models.wan import WanTransformer
from tests.models.tiny_wan import COLS, CONFIG, ROWS, latents, prompt, tiny

Spell = Callable[[str, str], str]
AB = {"down": "lora_A.weight", "up": "lora_B.weight", "alpha": "alpha"}
UD = {"down": "lora_down.weight", "up": "lora_up.weight", "alpha": "alpha"}
LAYOUTS: dict[str, Spell] = {
    "kohya": lambda layer, part: f"lora_unet_{layer.replace('.', '_')}.{UD[part]}",
    "kohya two underscores": lambda layer, part: f"lora_unet__{layer.replace('.', '_')}.{UD[part]}",
    "kohya diffusers": lambda layer, part: f"lora_transformer_{DIFFUSERS_WAN.to_theirs(layer).replace('.', '_')}.{UD[part]}",
    "plain down/up": lambda layer, part: f"{layer}.{UD[part]}",
    "plain A/B": lambda layer, part: f"{layer}.{AB[part]}",
    "comfy A/B": lambda layer, part: f"diffusion_model.{layer}.{AB[part]}",
    "comfy down/up": lambda layer, part: f"diffusion_model.{layer}.{UD[part]}",
    "peft": lambda layer, part: f"base_model.model.{layer}.{AB[part]}",
    "peft nested": lambda layer, part: f"base_model.model.model.{layer}.{AB[part].replace('.weight', '.default.weight')}",
    "model prefix": lambda layer, part: f"model.{layer}.{AB[part]}",
    "diffusers": lambda layer, part: f"transformer.{DIFFUSERS_WAN.to_theirs(layer)}.{AB[part]}",
    "diffusers bare": lambda layer, part: f"{DIFFUSERS_WAN.to_theirs(layer)}.{AB[part]}",
}


def parts(net: WanTransformer, *, rank: int = 3, alpha: float | None = 6.0, seed: int = 0) -> dict[tuple[str, str], Tensor]:
    draw = torch.Generator().manual_seed(seed)
    found: dict[tuple[str, str], Tensor] = {}
    for layer, (outputs, inputs) in linears(net).items():
        found[layer, "down"] = torch.randn(rank, inputs, generator=draw) * 0.1
        found[layer, "up"] = torch.randn(outputs, rank, generator=draw) * 0.1
        if alpha is not None:
            found[layer, "alpha"] = torch.tensor(alpha)
    return found


def lora(net: WanTransformer, **options: int) -> Lora:
    return parse({LAYOUTS["plain A/B"](*name): t for name, t in parts(net, **options).items()}, net)


def answer(net: WanTransformer) -> Tensor:
    memory = Memory(CachePolicy(4, 0, 2), net.room(ROWS, COLS))
    out: Tensor = net(latents(2), torch.full((1, 2), 500.0), net.read(prompt()), memory.begin(Call(0, 2)))
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_back(layout: str) -> None:
    net = tiny()
    wanted = parts(net)
    read = parse({LAYOUTS[layout](*name): t for name, t in wanted.items()}, net)
    assert set(read.deltas) == set(linears(net)) and read.unused == ()
    for layer, delta in read.deltas.items():
        assert torch.equal(delta.down_RI, wanted[layer, "down"]) and torch.equal(delta.up_OR, wanted[layer, "up"])
        assert delta.factor == 2.0


def test_alpha_counts_unless_scopes_fault_is_asked_for() -> None:
    net = tiny()
    for layout, factor in (("comfy A/B", 1.0), ("comfy down/up", 2.0), ("plain A/B", 2.0), ("kohya", 2.0)):
        file = {LAYOUTS[layout](*name): t for name, t in parts(net).items()}
        assert {d.factor for d in parse(file, net, rules="original").deltas.values()} == {factor}


def test_alpha_may_come_from_outside() -> None:
    net = tiny()
    file = {LAYOUTS["peft"](*name): t for name, t in parts(net, alpha=None).items()}
    assert {d.factor for d in parse(file, net, alpha=12).deltas.values()} == {4.0}
    assert {d.factor for d in parse(file, net).deltas.values()} == {1.0}


def test_merging_is_running_beside() -> None:
    net, beside = tiny(), tiny()
    merge(net, [(lora(net), 0.7), (lora(net, rank=5, seed=1), -0.4)])
    Adapters(beside, {"a": (lora(beside), 0.7), "b": (lora(beside, rank=5, seed=1), -0.4)})
    torch.testing.assert_close(answer(net), answer(beside), atol=2e-5, rtol=0)
    assert (answer(net) - answer(tiny())).abs().max() > 0.01


def test_scales_live_and_adapters_come_off() -> None:
    net = tiny()
    plain, half = answer(net), tiny()
    merge(half, [(lora(half), 0.5)])
    adapters = Adapters(net, {"a": (lora(net), 2.0)})
    adapters.set_scale("a", 0.5)
    assert adapters.scales() == {"a": 0.5}
    torch.testing.assert_close(answer(net), answer(half), atol=2e-5, rtol=0)
    adapters.set_scale("a", 0.0)
    torch.testing.assert_close(answer(net), plain, atol=1e-6, rtol=0)
    adapters.detach()
    assert torch.equal(answer(net), plain)
    with pytest.raises(NotFound, match="'b'"):
        adapters.set_scale("b", 1.0)


def test_a_scale_changes_no_address() -> None:
    """A captured graph sees the new scale."""
    net = tiny()
    adapters = Adapters(net, {"a": (lora(net), 1.0)})
    place = adapters._scales["a"].data_ptr()
    adapters.set_scale("a", 0.25)
    assert adapters._scales["a"].data_ptr() == place


def test_adapters_beside_quantised_weights() -> None:
    net, same = tiny(), tiny()
    read = lora(net)
    for name in quantise(net, Quantisation("int8")):
        layer = net.get_submodule(name)
        assert isinstance(layer.weight, Tensor) and isinstance(layer.scale, Tensor)
        same.get_parameter(f"{name}.weight").copy_(layer.weight * layer.scale)
    with pytest.raises(BadInput, match="quantised"):
        merge(net, [(read, 1.0)])
    Adapters(net, {"a": (read, 1.0)})
    merge(same, [(read, 1.0)])
    torch.testing.assert_close(answer(net), answer(same), atol=5e-5, rtol=0)


def test_layers_may_differ_in_rank_and_other_keys_are_reported() -> None:
    net = tiny()
    file = {LAYOUTS["plain A/B"](*name): t for name, t in parts(net).items() if name[0].endswith("ffn.0")}
    file |= {LAYOUTS["plain A/B"](*name): t for name, t in parts(net, rank=7).items() if name[0].endswith("attn.q")}
    file |= {"lora_te_text.lora_down.weight": torch.zeros(1), "blocks.0.norm3.diff": torch.zeros(1)}
    read = parse(file, net)
    assert {len(d.down_RI) for d in read.deltas.values()} == {3, 7}
    assert read.unused == ("lora_te_text.lora_down.weight", "blocks.0.norm3.diff")


def test_the_wrong_base_is_named() -> None:
    net = tiny()
    wide = {
        k: torch.zeros(3, 80) if k[1] == "down" else torch.zeros(80, 3) for k in parts(net, alpha=None) if ".self_attn.q" in k[0]
    }
    file = {LAYOUTS["comfy A/B"](*name): t for name, t in wide.items()}
    with pytest.raises(BadInput, match=r"another base model: blocks.0.self_attn.q is 80x80 in the file, 40x40 in the model"):
        parse(file, net)
    with pytest.raises(BadInput, match=r"changes no layer.*down_blocks"):
        parse({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(1, 1)}, net)
    with pytest.raises(BadInput, match="only one half"):
        parse({"blocks.0.ffn.0.lora_A.weight": torch.zeros(3, CONFIG.dim)}, net)


def test_merging_rounds_once() -> None:
    """Two small changes that bfloat16 would lose one by one are kept together."""
    net = tiny().to(torch.bfloat16)
    weight = net.blocks[0].get_submodule("ffn.0").weight
    assert isinstance(weight, Tensor)
    weight.data.fill_(1.0)
    shape = linears(net)["blocks.0.ffn.0"]
    small = 0.0025
    file = {
        "blocks.0.ffn.0.lora_A.weight": torch.ones(1, shape[1]) * small,
        "blocks.0.ffn.0.lora_B.weight": torch.ones(shape[0], 1),
    }
    merge(net, [(parse(file, net), 1.0), (parse(file, net), 1.0)])
    assert float(weight[0, 0]) == 1.0078125
