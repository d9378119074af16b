"""Train the nano autoencoder: `python -m training.autoencoder --plan cpu --out /tmp/nano/ae` (again to go on).

The encoder is linear and settled by the start (linear_start.py), so latents made today stay good; the decoder learns, also to
pass from one block to the next without a jump.
Shape suffixes: B clips, C colours or latent channels, T frames, F latent frames, H W rows and columns.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from scope.models.checkpoint import read, write
from scope.models.codec import CodecState
from scope.models.tiny_vae import NANO_VAE, TinyVae
from training.keep import Run, Slow, half, train
from training.linear_start import begin_linear
from training.plan import AUTOENCODER, AutoencoderPlan
from training.scenes import camera, drawn, render

HELD_OUT = 10_000_000  # seeds from here on are never trained on
CAMERA = 0.08  # share of camera-like clips
NOISE = 0.03  # of the latents, at most twice this
STRAIGHT = 0.05  # of the rate, for the affine way back


def pixels(clip_THWC: Tensor) -> Tensor:
    """uint8 to [C,T,H,W] in [-1,1]."""
    return clip_THWC.permute(3, 0, 1, 2).float() / 127.5 - 1


class Pool:
    """Clips in memory, renewed one by one; what a step sees depends on the step alone."""

    def __init__(self, plan: AutoencoderPlan, device: str, step: int) -> None:
        self.plan, self.device = plan, device
        start = step // plan.renew
        self.clips = {n % plan.pool: self._clip(n) for n in range(start, start + plan.pool)}

    def _clip(self, number: int) -> Tensor:
        plan = self.plan
        if number % round(1 / CAMERA) == 5:
            return camera(number, plan.frames, plan.height, plan.height)
        return render(drawn(number), plan.frames, plan.height, plan.height, first=number * 7 % 60, device=self.device)

    def batch(self, step: int) -> Tensor:
        """[B,C,T,H,W] crops."""
        plan = self.plan
        if step and step % plan.renew == 0:
            number = step // plan.renew + plan.pool - 1
            self.clips[number % plan.pool] = self._clip(number)
        source = torch.Generator().manual_seed(step)
        room = plan.height - plan.crop + 1
        chosen = []
        for _ in range(plan.batch):
            clip = self.clips[int(torch.randint(plan.pool, (1,), generator=source))]
            top, left = (int(torch.randint(room, (1,), generator=source)) for _ in range(2))
            chosen.append(pixels(clip[:, top : top + plan.crop, left : left + plan.crop]))
        return torch.stack(chosen).to(self.device)


def rebuilt(vae: TinyVae, x_BCTHW: Tensor, noise: float = 0.0) -> Tensor:
    """Through both halves, [B,T,C,H,W], not kept within [-1,1]; all frames, as in the middle of a stream."""
    z = vae.encode(x_BCTHW)
    return vae.frames(z + noise * torch.randn_like(z), vae.open()) * 2 - 1


def begun(vae: TinyVae) -> CodecState:
    """A state in which the decoder does not drop a stream's first three frames."""
    state = vae.open()
    state.decoding = True
    return state


def loss_of(made_BTCHW: Tensor, x_BCTHW: Tensor, every: int, border: float) -> Tensor:
    """Both errors of the pictures, and that of the step from frame to frame, more so where a block of `every` ends."""
    error = made_BTCHW - x_BCTHW.transpose(1, 2)
    steps = error.diff(dim=1)
    weight = torch.ones(steps.shape[1], device=error.device)
    weight[every - 1 :: every] = border
    moved = (steps.abs() * weight.view(1, -1, 1, 1, 1)).mean()
    return 4 * error.square().mean() + 0.15 * error.abs().mean() + 0.4 * moved


def psnr(made_BTCHW: Tensor, x_BCTHW: Tensor) -> float:
    return float(-10 * torch.log10((made_BTCHW.clamp(-1, 1) - x_BCTHW.transpose(1, 2)).square().mean() / 4))


def rate_at(plan: AutoencoderPlan, step: int) -> float:
    """Warm-up, then a cosine down to a twentieth."""
    return plan.rate * min(1, (step + 1) / 40) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / plan.steps)))


class Trainer:
    """Everything that changes during a run."""

    def __init__(self, plan: AutoencoderPlan, out: Path, device: str, start: Path | None = None) -> None:
        self.plan, self.device, self.run = plan, device, Run(out)
        self.vae = TinyVae(NANO_VAE)
        saved = self.run.load()
        self.step: int = saved["step"] if saved else 0
        self.pool = Pool(plan, device, self.step)
        if saved is None and start:
            self.vae.load_state_dict({name: tensor.float() for name, tensor in read(start).items()})
        elif saved is None:
            torch.manual_seed(0)
            begin_linear(self.vae, (pixels(clip[:8]).cpu() for clip in self.pool.clips.values()))
        else:
            self.vae.load_state_dict(saved["net"])
        self.vae.to(device)
        self.vae.encoder.requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.vae.decoder.parameters(), betas=(0.9, 0.99))
        if self.vae.straight is not None:
            self.optimiser.add_param_group({"params": list(self.vae.straight.parameters()), "share": STRAIGHT})
        self.slow = Slow(self.vae, plan.ema)
        if saved is not None:
            self.slow.weights = {name: t.to(device) for name, t in saved["slow"].items()}
            if saved["optimiser"]:
                self.optimiser.load_state_dict(saved["optimiser"])

    def once(self) -> tuple[float, float]:
        """One step; the loss and the PSNR."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.plan, self.step) * group.get("share", 1.0)
        x = self.pool.batch(self.step)
        made = rebuilt(self.vae, x, noise=NOISE * (self.step % 3))
        loss = loss_of(made, x, self.vae.frames_per_latent, self.plan.border)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 0.5)
        self.optimiser.step()
        self.slow.follow(self.vae, self.step)
        self.step += 1
        return float(loss.detach()), psnr(made.detach(), x)

    def save(self) -> None:
        state = {"step": self.step, "net": self.vae.state_dict(), "slow": self.slow.weights}
        self.run.save(state | {"optimiser": self.optimiser.state_dict()})
        write(half(self.slow.weights), self.run.path.with_name("nano-vae.safetensors"))


def main() -> None:
    """Run or go on until the plan's last step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="cpu", choices=AUTOENCODER)
    parser.add_argument("--out", type=Path, default=Path("/tmp/nano/ae"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="shipped weights to begin with, where there is no run to go on with")
    parser.add_argument("--until", type=int, default=10**9, help="stop after this step")
    wanted = parser.parse_args()
    torch.set_num_threads(1 if wanted.device == "cpu" else 8)
    plan = AUTOENCODER[wanted.plan]
    trainer = Trainer(plan, wanted.out, wanted.device, wanted.start)
    train(trainer, "autoencoder", min(plan.steps, wanted.until), figures=("loss", "psnr"), every=50)


if __name__ == "__main__":
    main()
