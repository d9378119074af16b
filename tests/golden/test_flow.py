"""Schedules and noise scales against golden/wan 05, 10 and golden/stream's units."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scope.models.flow import Schedule, first_step, renoise, shifted_sigmas
from scope.models.motion import recursive_noise_scale, scope_noise_scale
from tests.golden.case import Case

BASE_FLOOR = 0.003 / 1.002


@pytest.mark.golden("05_scheduler")
def test_schedule(case: Case) -> None:
    t = case.tensors
    for name in sorted({k.split(".")[0] for k in t if k.startswith("shift")}):
        schedule = Schedule(float(name.removeprefix("shift")))
        case.close(schedule.sigmas, f"{name}.sigmas", atol=1e-7)
        case.close(schedule.timesteps, f"{name}.timesteps", atol=1e-4)
        case.close(torch.tensor(schedule.warp(t[f"{name}.warp_in"].tolist())), f"{name}.warp_out", atol=1e-4)
        case.equal(schedule.nearest(t[f"{name}.query_t"]).tolist(), t[f"{name}.query_idx"].tolist())
        case.close(schedule.sigmas_at(t[f"{name}.query_t"]), f"{name}.query_sigma", atol=1e-7)
        x0, noise, at = (t[f"{name}.addnoise.{k}"] for k in ("x0", "noise", "t"))
        noisy = renoise(x0, noise, schedule.sigmas_at(at)[:, None, None, None])
        case.close(noisy, f"{name}.addnoise.out", atol=1e-7)
        case.close(schedule.euler(x0, t[f"{name}.step.flow"], at), f"{name}.step.out", atol=1e-6)
    shift = case.config["shift_n50"]
    case.close(shifted_sigmas(shift, len(t["n50.sigmas"])), "n50.sigmas", atol=1e-7)
    case.close(1000 * shifted_sigmas(shift, len(t["n50.sigmas"])), "n50.timesteps", atol=1e-4)
    case.close(shifted_sigmas(shift, len(t["default_n40.sigmas"]), floor=BASE_FLOOR), "default_n40.sigmas", atol=1e-7)


@pytest.mark.golden("10_noise_controller")
def test_noise_scale(case: Case) -> None:
    t, chunk = case.tensors, case.config["chunk_size"]
    last: Tensor | None = None
    feedback, asked, steps = 0.7, [], []
    fed: list[float] = []
    for i, request in enumerate(t["request"].tolist()):
        video = t[f"video{i}"]
        asked.append(scope_noise_scale(video, last, chunk, request))
        feedback = scope_noise_scale(video, last, chunk, feedback)
        fed.append(feedback)
        steps.append(first_step(feedback))
        last = video[:, :, -1:]
    case.close(torch.tensor(asked), "scale.requested_each_call", atol=1e-6)
    case.close(torch.tensor(fed), "scale.feedback", atol=1e-6)
    case.equal(steps, t["first_step"].tolist())


@pytest.mark.golden("sdv2.noise_controller_orig")
def test_recursive_noise_scale(case: Case) -> None:
    for row in case.meta["cases"]:
        small = case.tensors[f"video{row['video']}_small"]
        frames = small.repeat_interleave(8, 1).repeat_interleave(8, 2).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        scale = row["previous_noise_scale"]
        for result in row["results"]:
            end, chunk = result["end_idx"], result["chunk"]
            scale = recursive_noise_scale(frames[:, :, end - chunk - 1 : end], row["init_noise_scale"], scale)
            case.close(torch.tensor(scale), torch.tensor(result["noise_scale"]), atol=1e-6)
            case.equal(first_step(scale), result["current_step"])


@pytest.mark.golden("units")
def test_stream_units(case: Case) -> None:
    t = case.floats()
    for shift, row in case.meta["scheduler"].items():
        schedule = Schedule(float(shift))
        case.close(schedule.sigmas, t[f"sched{shift}.sigmas"], atol=1e-7)
        case.close(schedule.timesteps, t[f"sched{shift}.timesteps"], atol=1e-4)
        for step, index, sigma in row["nearest"]:
            case.equal(int(schedule.nearest(torch.tensor([float(step)]))[0]), index)
            case.close(torch.tensor(schedule.sigma(step)), torch.tensor(sigma), atol=1e-7)
            noised = renoise(t[f"sched{shift}.x0"], t[f"sched{shift}.noise"], schedule.sigma(step))
            case.close(noised, t[f"sched{shift}.noised{step}"], atol=1e-6)
        for key, warped in row.items():
            if key.startswith("warped_"):
                steps = [int(s) for s in key.split("_")[1:]]
                case.close(torch.tensor(schedule.warp(steps)), torch.tensor(warped), atol=1e-4)
    last: Tensor | None = None
    for i, row in enumerate(case.meta["noise_controller"]):
        video = t[f"ctl{i}.video"]
        fresh = i == 0 or row["num_frame_per_block"] != case.meta["noise_controller"][i - 1]["num_frame_per_block"]
        scale = scope_noise_scale(video, None if fresh else last, row["num_frame_per_block"], row["base"])
        case.close(torch.tensor(scale), torch.tensor(row["result"]), atol=1e-6)
        last = video[:, :, -1:]
