"""Train the nano transformer and its text encoder: `python -m training.flow --plan cpu --library FOLDER --out /tmp/nano/flow`.

Flow matching with diffusion forcing: three chunks of a clip, each with its own noise level and its own prompt; about half of
the earlier ones are clean, as in the product.
Shape suffixes: B clips, N chunks of a clip, R rows (B*N), F latents of a chunk, C channels, H W rows and columns.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from scope.models.cache import TextMemory
from scope.models.checkpoint import read, write
from scope.models.nano_text import NanoText, Spelled, spelled
from scope.models.wan import NANO, Block, WanTransformer
from training.forced import Forced
from training.keep import Run, Slow, half, train
from training.library import CHUNK, Shard
from training.muon import Muon
from training.plan import FLOW, FlowPlan
from training.scenes import caption

CHUNKS = 3  # of a training clip: as much as the window holds
CLEAN = 0.5  # share of earlier chunks without noise
ROUGH = 0.08  # at most so much noise on chunks said to be clean: a stream's own past is never perfect
SILENT = 0.1  # share of clips without a prompt, for guidance
GAP = 0.3  # share of clips whose first chunk lies further back, as a sink does
GATE = 0.6  # of the residual branches at the start; the published networks' near-zero gates learn too slowly here


@dataclass(slots=True)
class Batch:
    """Clean latents, and each row's prompt as a number into `texts`."""

    z_RFCHW: Tensor
    texts: list[str]
    which_R: Tensor


class Library:
    """All shards of a folder in memory; new ones are taken in as they appear."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shards, self._known = folder, list[Shard](), set[str]()
        self.look()

    def look(self) -> None:
        for path in sorted(self.folder.glob("*.pt")):
            if path.name not in self._known:
                self._known.add(path.name)
                self.shards.append(Shard.load(path))

    def batch(self, size: int, seed: int) -> Batch:
        """Clips of one shard, so of one size."""
        dice = random.Random(seed)
        wide = max(shard.z_NFCHW[0].numel() for shard in self.shards)
        shard = dice.choice(self.shards)
        smallest = min(shard.z_NFCHW[0].numel() for shard in self.shards)
        size = max(1, size * smallest // shard.z_NFCHW[0].numel()) if wide > smallest else size
        rows, texts, which = list[Tensor](), list[str](), list[int]()
        for _ in range(size):
            at = dice.randrange(len(shard.entries))
            entry, z = shard.entries[at], shard.z_NFCHW[at]
            for chunk, first in enumerate(_firsts(dice, len(z), free=entry.then is None)):
                rows.append(z[first : first + CHUNK])
                text = _said(entry.at(first // CHUNK), dice) if not chunk or entry.then is not None else texts[-1]
                if not texts or text != texts[-1]:
                    texts.append(text)
                which.append(len(texts) - 1)
        return Batch(torch.stack(rows).float(), texts, torch.tensor(which))


def _firsts(dice: random.Random, latents: int, *, free: bool) -> list[int]:
    """Where the three chunks begin: in a row, or the first one further back."""
    room = latents - CHUNKS * CHUNK
    if room >= CHUNK and dice.random() < GAP:
        return [0, *range(latents - (CHUNKS - 1) * CHUNK, latents, CHUNK)]
    begin = dice.randint(0, room) if free else dice.randrange(0, room + 1, CHUNK)
    return list(range(begin, begin + CHUNKS * CHUNK, CHUNK))


def _said(shot: object, dice: random.Random) -> str:
    return "" if dice.random() < SILENT else caption(shot, dice.randrange(1 << 30))  # type: ignore[arg-type]


class Nano(nn.Module):
    """What is trained together: the transformer and its text encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.text = WanTransformer(NANO), NanoText()

    def begin(self, seed: int = 0) -> None:
        """Open gates, a silent head."""
        torch.manual_seed(seed)
        for block in self.net.blocks:
            assert isinstance(block, Block)
            nn.init.zeros_(block.modulation)
            block.modulation.data[:, (2, 5)] = GATE
            for linear in (block.self_attn.o, block.cross_attn.o, block.ffn[2]):
                assert isinstance(linear, nn.Linear)
                nn.init.normal_(linear.weight, std=0.02 / len(self.net.blocks) ** 0.5)
        nn.init.zeros_(self.net.head.head.weight)
        nn.init.zeros_(self.net.head.head.bias)
        for table in (self.text.words, self.text.groups, self.text.concepts):
            nn.init.normal_(table.weight, std=0.5)
            table.weight.data[0] = 0

    def prompts(self, texts: Spelled, which_R: Tensor) -> TextMemory:
        """Each row's prompt, encoded once for all rows that share it."""
        found = self.net.read(self.text(texts))
        return TextMemory([k[which_R] for k in found.k], [v[which_R] for v in found.v])


def noised(z_RFCHW: Tensor, source: torch.Generator, shift: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Noisy latents, noise, noise levels [R, 1, 1, 1, 1], and which rows count."""
    rows = len(z_RFCHW)
    s = torch.rand(rows, generator=source)
    sigma = shift * s / (1 + (shift - 1) * s)
    earlier = torch.arange(rows) % CHUNKS < CHUNKS - 1
    clean = earlier & (torch.rand(rows, generator=source) < CLEAN)
    rough = ROUGH * torch.rand(rows, generator=source)
    sigma_R1111 = torch.where(clean, rough, sigma).view(-1, 1, 1, 1, 1)
    noise = torch.randn(z_RFCHW.shape, generator=source)
    return torch.lerp(z_RFCHW, noise, sigma_R1111), noise, torch.where(clean, 0.0, sigma).view(-1, 1, 1, 1, 1), ~clean


class Trainer:
    """Everything that changes during a run."""

    def __init__(self, plan: FlowPlan, library: Path, out: Path, device: str, start: Path | None = None) -> None:
        self.plan, self.device, self.run, self.library = plan, torch.device(device), Run(out), Library(library)
        self.nano = Nano()
        self.nano.begin()
        saved = self.run.load()
        self.step: int = saved["step"] if saved else 0
        if saved:
            self.nano.load_state_dict(saved["net"])
        elif start:
            self.nano.load_state_dict(trained(start))
        self.nano.to(self.device)
        matrices = [p for block in self.nano.net.blocks for p in block.parameters() if p.ndim == 2 and min(p.shape) > 8]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.nano.parameters() if id(p) not in chosen]
        self.optimisers = (
            Muon(matrices, lr=plan.matrix_rate),
            torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.slow = Slow(self.nano, plan.ema)
        if saved:
            self.slow.weights = {name: t.to(self.device) for name, t in saved["slow"].items()}
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)

    def once(self) -> tuple[float]:
        """One step; the loss."""
        for optimiser, rate in zip(self.optimisers, (self.plan.matrix_rate, self.plan.rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * self.share()
        if self.step % 100 == 0:
            self.library.look()
        batch = self.library.batch(self.plan.batch, self.step)
        loss = self.loss(batch)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.nano.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.slow.follow(self.nano, self.step)
        self.step += 1
        return (float(loss.detach()),)

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of the flow, over the rows with noise."""
        source = torch.Generator().manual_seed(self.step)
        x, noise, sigma, counts = (t.to(self.device) for t in noised(batch.z_RFCHW, source, self.plan.shift))
        z = batch.z_RFCHW.to(self.device)
        text = self.nano.prompts(spelled(batch.texts), batch.which_R.to(self.device))
        view = Forced(self.nano.net.grid(*z.shape[-2:]), CHUNKS, CHUNK, self.device)
        t_RF = (sigma.flatten() * 1000).view(-1, 1).expand(-1, CHUNK)
        flow: Tensor = self.nano.net(x, t_RF, text, view)
        error_R = (flow - (noise - z)).square().mean((1, 2, 3, 4))
        mean: Tensor = (error_R * counts).sum() / counts.sum()
        return mean

    def share(self) -> float:
        """Warm-up, constant, then a straight line down over the last two fifths."""
        return min(1, (self.step + 1) / 60) * min(1.0, max(0.02, (1 - self.step / self.plan.steps) / 0.4))

    def save(self) -> None:
        state = {"step": self.step, "net": self.nano.state_dict(), "slow": self.slow.weights}
        self.run.save(state | {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers]})
        keep(self.slow.weights, self.run.path.parent)


PARTS = {"net.": "nano.safetensors", "text.": "nano-text.safetensors"}


def trained(folder: Path) -> dict[str, Tensor]:
    """The weights of both, from the files that ship."""
    return {part + key: t.float() for part, name in PARTS.items() for key, t in read(folder / name).items()}


def keep(weights: dict[str, Tensor], folder: Path) -> None:
    """The two files that ship."""
    for part, name in PARTS.items():
        write(half({key.removeprefix(part): t for key, t in weights.items() if key.startswith(part)}), folder / name)


def main() -> None:
    """Run or go on until the plan's last step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="cpu", choices=FLOW)
    parser.add_argument("--library", type=Path, default=Path("/tmp/nano/library"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/nano/flow"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="a folder of shipped weights, where there is no run to go on with")
    parser.add_argument("--until", type=int, default=10**9, help="stop after this step")
    wanted = parser.parse_args()
    torch.set_num_threads(1 if wanted.device == "cpu" else 8)
    trainer = Trainer(FLOW[wanted.plan], wanted.library, wanted.out, wanted.device, wanted.start)
    train(trainer, "flow", min(trainer.plan.steps, wanted.until))


if __name__ == "__main__":
    main()
