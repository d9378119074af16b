"""Few-step distillation on the student's own streams: `python -m training.distil --start /tmp/nano/flow --out /tmp/nano/distil`.

The student learns to reach in one step, from any of the levels it will meet, where the guided teacher arrives in several.
What both look back at is what the student itself has made, for some chunks, so that a long run meets nothing new; prompts
change on the way. Shape suffixes: B streams, F latents of a chunk, C channels, H W rows and columns.
"""

from __future__ import annotations

import argparse
import copy
import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from scope.models.cache import TextMemory
from scope.models.nano_text import spelled
from scope.models.wan import WanTransformer
from training.flow import Library, Nano, keep, trained
from training.forced import After, Recorded
from training.keep import Run, Slow, train
from training.library import CHUNK, Entry
from training.plan import DISTIL, DistilPlan
from training.scenes import caption

LEVELS = (1.0, 0.9, 0.75, 0.6, 0.45, 0.3)  # noise levels the student is taught at
USUAL = (1.0, 0.6)  # the steps of its own streams
FROM_CLIPS = 0.25  # share of streams that start from a clip, as video-to-video does
PROMPT_CHANGES = 0.12  # per stream and chunk
LONGEST = 10  # chunks of a stream

Past = list[tuple[Tensor, Tensor]]


@dataclass(slots=True)
class Streams:
    """What the student has made of late: a first chunk (the sink), the latest one, and what is asked for."""

    texts: list[str]
    sink: Tensor | None = None
    last: Tensor | None = None
    made: int = 0  # chunks
    length: int = field(default=LONGEST)

    def seen(self) -> list[Tensor]:
        """The chunks before the coming one."""
        if self.sink is None or self.last is None:
            return []
        return [self.sink] if self.made == 1 else [self.sink, self.last]

    def over(self, like: Tensor) -> bool:
        """Long enough, or of another size than what is at hand."""
        return self.made >= self.length or (self.last is not None and self.last.shape != like.shape)

    def take(self, chunk_BFCHW: Tensor) -> None:
        self.sink = chunk_BFCHW if self.sink is None else self.sink
        self.last, self.made = chunk_BFCHW, self.made + 1


def read(nano: Nano, texts: list[str]) -> TextMemory:
    return nano.net.read(nano.text(spelled(texts)))


def remembered(net: WanTransformer, seen: list[Tensor], text: TextMemory) -> Past:
    """The clean pass over what was made."""
    if not seen:
        return []
    count, first = len(seen), seen[0]
    rows = torch.stack(seen, 1).flatten(0, 1)
    wide = TextMemory(*([x.repeat_interleave(count, 0) for x in side] for side in (text.k, text.v)))
    view = Recorded(net.grid(*first.shape[-2:]), count, CHUNK, rows.device)
    net(rows, rows.new_zeros(len(rows), CHUNK), wide, view)
    return view.kept


def flow_at(net: WanTransformer, x: Tensor, sigma: float, text: TextMemory, past: Past) -> Tensor:
    view = After(net.grid(*x.shape[-2:]), past, CHUNK, x.device)
    return net(x, x.new_full((len(x), CHUNK), 1000 * sigma), text, view)  # type: ignore[no-any-return]


def levels(sigma: float, count: int, shift: float) -> list[float]:
    """From sigma down to 0 in `count` steps, smaller towards the end of the noise."""
    s = sigma / (shift - (shift - 1) * sigma)
    return [shift * u / (1 + (shift - 1) * u) for u in (s * (1 - n / count) for n in range(count + 1))]


class Teacher:
    """The trained flow, guided."""

    def __init__(self, nano: Nano, plan: DistilPlan) -> None:
        self.nano, self.plan = nano, plan

    @torch.no_grad()
    def arrive(self, x: Tensor, sigma: float, texts: list[str], seen: list[Tensor]) -> Tensor:
        """Where its path from x at this noise level ends."""
        net = self.nano.net
        both = [*texts, *([""] * len(texts))]
        text = read(self.nano, both)
        past = remembered(net, [torch.cat([chunk, chunk]) for chunk in seen], text)
        path = levels(sigma, self.plan.substeps, self.plan.shift)
        for here, there in zip(path, path[1:], strict=False):
            asked, free = flow_at(net, torch.cat([x, x]), here, text, past).chunk(2)
            x = x + (free + self.plan.guidance * (asked - free)) * (there - here)
        return x


class Trainer:
    """Everything that changes during a run."""

    def __init__(self, plan: DistilPlan, library: Path, start: Path, out: Path, device: str) -> None:
        self.plan, self.device, self.run = plan, torch.device(device), Run(out)
        self.library, self.dice = Library(library), random.Random(0)
        saved = self.run.load()
        self.student = Nano()
        self.student.load_state_dict(trained(start))
        self.student.to(self.device)
        self.teacher = Teacher(copy.deepcopy(self.student).requires_grad_(False), plan)
        self.step: int = saved["step"] if saved else 0
        if saved:
            self.student.load_state_dict(saved["net"])
        self.optimiser = torch.optim.AdamW(self.student.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.slow = Slow(self.student, plan.ema)
        if saved:
            self.slow.weights = {name: t.to(self.device) for name, t in saved["slow"].items()}
            self.optimiser.load_state_dict(saved["optimiser"])
        self.streams: Streams | None = None

    def once(self) -> tuple[float]:
        """Teach one level at one place of the streams, then let the student go on; gives the loss."""
        torch.manual_seed(1000 + self.step)
        streams = self._streams()
        seen, texts = streams.seen(), streams.texts
        sigma = self.dice.choice(LEVELS)
        with torch.no_grad():
            text = read(self.student, texts)
            past = remembered(self.student.net, seen, text)
            noise = torch.randn_like(self._clips)
            guess = self._clips if self.dice.random() < FROM_CLIPS else noise - flow_at(self.student.net, noise, 1.0, text, past)
            x = torch.lerp(guess, torch.randn_like(noise), sigma) if sigma < 1 else noise
        goal = self.teacher.arrive(x, sigma, texts, seen)
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * min(1, (self.step + 1) / 20) * max(0.05, 1 - self.step / self.plan.steps)
        said = read(self.student, texts)
        arrived = x - sigma * flow_at(self.student.net, x, sigma, said, remembered(self.student.net, seen, said))
        loss = ((arrived - goal).square() + 1e-4).sqrt().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimiser.step()
        self.slow.follow(self.student, self.step)
        self._go_on(streams, text, past)
        self.step += 1
        return (float(loss.detach()),)

    def _streams(self) -> Streams:
        """The running ones, or new ones; now and then one is asked for something else."""
        batch = self.library.batch(self.plan.batch, self.dice.randrange(1 << 30))
        self._clips = batch.z_RFCHW[::3].to(self.device)
        if self.streams is None or self.streams.over(self._clips):
            texts = [batch.texts[int(n)] for n in batch.which_R[::3]]
            self.streams = Streams(texts, length=self.dice.randint(1, LONGEST))
        else:
            entries: list[Entry] = self.dice.choice(self.library.shards).entries
            for at in range(len(self.streams.texts)):
                if self.dice.random() < PROMPT_CHANGES:
                    self.streams.texts[at] = caption(self.dice.choice(entries).shot, self.dice.randrange(1 << 30))
        return self.streams

    @torch.no_grad()
    def _go_on(self, streams: Streams, text: TextMemory, past: Past) -> None:
        """The next chunk as the product makes it: a guess, noise again, another guess."""
        x = torch.randn_like(self._clips)
        for number, sigma in enumerate(USUAL):
            x = torch.lerp(x, torch.randn_like(x), sigma) if number else x
            x = x - sigma * flow_at(self.student.net, x, sigma, text, past)
        streams.take(x)

    def save(self) -> None:
        state = {"step": self.step, "net": self.student.state_dict(), "slow": self.slow.weights}
        self.run.save(state | {"optimiser": self.optimiser.state_dict()})
        keep(self.slow.weights, self.run.path.parent)


def main() -> None:
    """Run or go on until the plan's last step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", default="cpu", choices=DISTIL)
    parser.add_argument("--library", type=Path, default=Path("/tmp/nano/library"))
    parser.add_argument("--start", type=Path, default=Path("/tmp/nano/flow"), help="the folder of what flow.py kept")
    parser.add_argument("--out", type=Path, default=Path("/tmp/nano/distil"))
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    torch.set_num_threads(1 if wanted.device == "cpu" else 8)
    trainer = Trainer(DISTIL[wanted.plan], wanted.library, wanted.start, wanted.out, wanted.device)
    train(trainer, "distil", trainer.plan.steps, every=10)


if __name__ == "__main__":
    main()
