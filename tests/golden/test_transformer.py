"""The network, its caches and the loops around it against golden/wan 01 to 04."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scope.models.cache import Call
from scope.models.flow import Schedule, clean
from scope.models.memory import Memory
from scope.models.wan import WanTransformer
from scope.models.whole import WholeClip, block_causal_mask
from tests.golden.case import Case
from tests.golden.nets import Loop, in_order, transformer, wan_net, wan_policy

ATOL = 1e-5


def whole(net: WanTransformer, x_BFCHW: Tensor, t_BF: Tensor, prompt: Tensor, mask: Tensor | None = None) -> Tensor:
    frames, grid = x_BFCHW.shape[1], net.grid(*x_BFCHW.shape[-2:])
    view = WholeClip(grid, frames, device=x_BFCHW.device, mask_TS=mask)
    out: Tensor = net(x_BFCHW, t_BF, net.read(prompt), view)
    return out


@pytest.mark.golden("00_transformer_weights")
def test_parameters_have_the_published_names(case: Case) -> None:
    net = transformer(case.config, case.tensors)
    case.equal({k: list(v.shape) for k, v in net.state_dict().items()}, {k: v[1] for k, v in case.meta["shapes"].items()})


@pytest.mark.golden("01_forward_bidirectional")
def test_base_model(case: Case) -> None:
    net = wan_net(case)
    for name in sorted({k.split(".")[0] for k in case.tensors}):
        x = case.tensors[f"{name}.x"].transpose(1, 2)
        for row in range(len(x)):
            prompt = case.tensors[f"{name}.ctx{row}"][None]
            t = case.tensors[f"{name}.t"][row].expand(1, x.shape[1])
            out = whole(net, x[row : row + 1], t, prompt).transpose(1, 2)
            case.close(out, case.tensors[f"{name}.out"][row : row + 1], atol=ATOL)


@pytest.mark.golden("01_forward_block_causal")
def test_block_causal_clip(case: Case) -> None:
    net = wan_net(case)
    for name, row in case.config["cases"].items():
        x = case.tensors[f"{name}.x"].transpose(1, 2)
        tokens = net.grid(*x.shape[-2:]).frame_tokens
        mask = block_causal_mask(x.shape[1], tokens, block=row["frames_per_block"], window=row["local_attn_size"])
        out = whole(net, x, case.tensors[f"{name}.t"], case.tensors[f"{name}.ctx"], mask)
        case.close(out.transpose(1, 2), f"{name}.out", atol=ATOL)


@pytest.mark.golden("02_cached_forward_")
def test_cached_forward(case: Case) -> None:
    net, config, t = wan_net(case), case.config, case.tensors
    memory = Memory(wan_policy(config), net.room(*config["latent_hw"]))
    text, schedule = net.read(t["context"]), Schedule(config["shift"])
    frames = config["frames_per_chunk"]
    for c in range(config["chunks"]):
        start = c * frames
        flow = net(t[f"chunk{c}.x_noisy"], t[f"chunk{c}.t"], text, memory.begin(Call(start, frames, "first")))
        case.close(flow, f"chunk{c}.flow", atol=ATOL)
        sigma = schedule.sigmas_at(t[f"chunk{c}.t"])[..., None, None, None].double()
        case.close(clean(t[f"chunk{c}.x_noisy"], flow, sigma), f"chunk{c}.x0", atol=ATOL)
        zero = torch.zeros_like(t[f"chunk{c}.t"])
        flow = net(t[f"chunk{c}.x_clean"], zero, text, memory.begin(Call(start, frames, "clean")))
        case.close(flow, f"chunk{c}.flow_clean", atol=ATOL)
        counters = [memory.end * config["tokens_per_frame"], len(memory.order) * config["tokens_per_frame"]]
        case.equal(counters, t[f"chunk{c}.idx"].tolist())
    for place, layer in (("first", 0), ("last", -1)):
        case.close(in_order(memory, memory.k[layer]), f"cache.{place}.k", atol=ATOL)
        case.close(in_order(memory, memory.v[layer]), f"cache.{place}.v", atol=ATOL)
    case.close(text.k[-1], "cross.last.k", atol=ATOL)
    case.close(text.v[-1], "cross.last.v", atol=ATOL)


def paper_loop(case: Case) -> tuple[Loop, list[float], int]:
    net, config = wan_net(case), case.config
    memory = Memory(wan_policy(config), net.room(*config["latent_hw"]))
    schedule = Schedule(config["shift"])
    steps = schedule.warp(config["denoising_steps"]) if config["warp"] else [float(s) for s in config["denoising_steps"]]
    return Loop(net, memory, schedule, net.read(case.tensors["embed.a"][None])), steps, config["frames_per_chunk"]


@pytest.mark.golden("03_denoise_selfforcing_", "04_switch_longlive_")
def test_paper_loop(case: Case) -> None:
    """All noise drawn beforehand, warped steps, prompt switches at given frames."""
    loop, steps, frames = paper_loop(case)
    t = case.tensors
    case.close(torch.tensor(steps), "warped_steps", atol=1e-4)
    prompts = sorted(name for name in t if name.startswith("embed."))[1:]
    switches = dict(zip(case.config.get("switch_frame_indices", []), prompts, strict=False))
    out: list[Tensor] = []
    for c in range(t["noise"].shape[1] // frames):
        start = c * frames
        due = [frame for frame in sorted(switches) if frame <= start]
        if due:
            loop.text = loop.net.read(t[switches.pop(due[0])][None])
            past = torch.cat(out, 1)[:, -loop.memory.policy.window :]
            loop.recache(past, start - past.shape[1])
        draws = [t[f"renoise{c * (len(steps) - 1) + i}"] for i in range(len(steps) - 1)]
        out.append(loop.chunk(t["noise"][:, start : start + frames], steps, draws, start))
    case.close(torch.cat(out, 1), "latents", atol=ATOL)
    case.close(in_order(loop.memory, loop.memory.k[0]), "cache.first.k", atol=ATOL)
    case.close(in_order(loop.memory, loop.memory.v[0]), "cache.first.v", atol=ATOL)


@pytest.mark.golden("03_denoise_scope", "04_switch_scope_", "04_transition_scope")
def test_scope_loop(case: Case) -> None:
    """Noise drawn per chunk from seed + start frame, raw steps, recache whenever the recorded embedding changes."""
    net, config, t = wan_net(case), case.config, case.tensors
    memory = Memory(wan_policy(config), net.room(*config["latent_hw"]))
    prompts = [t[f"chunk{c}.cond"] if f"chunk{c}.cond" in t else t["embed.a"][None] for c in range(chunk_count(case))]
    loop = Loop(net, memory, Schedule(config["shift"]), net.read(prompts[0]))
    past: list[Tensor] = []
    start = 0
    for c, prompt in enumerate(prompts):
        draw = torch.Generator().manual_seed(config["base_seed"] + start)
        shape = t[f"chunk{c}.latents"].shape
        noise = torch.randn(shape, generator=draw)
        case.close(noise, f"chunk{c}.noise0", atol=0)
        changed = bool(t[f"chunk{c}.flags"][0]) if f"chunk{c}.flags" in t else c == 0
        if changed:
            loop.text = net.read(prompt)
        if changed and c:
            seen = torch.cat(past, 1)[:, -memory.policy.window :]
            loop.recache(seen, start - seen.shape[1])
        draws = [torch.randn(shape[1:], generator=draw) for _ in config["denoising_steps"][1:]]
        past.append(loop.chunk(noise, config["denoising_steps"], draws, start))
        case.close(past[-1], f"chunk{c}.latents", atol=ATOL)
        start += shape[1]
    if "cache.first.k" in t:
        case.close(in_order(memory, memory.k[0]), "cache.first.k", atol=ATOL)
        case.close(in_order(memory, memory.v[0]), "cache.first.v", atol=ATOL)


def chunk_count(case: Case) -> int:
    return sum(name.endswith(".latents") and name.startswith("chunk") for name in case.tensors)
