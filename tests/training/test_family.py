"""Library, flow, distillation and judge: each runs at its smallest size, stops, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scope.models import checkpoint
from scope.models.cache import CachePolicy, Call
from scope.models.memory import Memory
from scope.models.nano_text import spelled
from scope.models.wan import NANO, WanTransformer
from training import distil, flow, judge, library
from training.autoencoder import Trainer as AutoencoderTrainer
from training.forced import After, Forced
from training.library import CHUNK, Shard, apart
from training.muon import orthogonal
from training.plan import AUTOENCODER, DISTIL, FLOW, LIBRARY, LibraryPlan
from training.scenes import PAINTERS
from training.scenes.clip import ramps_known

PLAN = LibraryPlan(1, 7, 64, 64, 9)


@pytest.fixture(scope="module")
def vae_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    AutoencoderTrainer(AUTOENCODER["test"], folder, "cpu").save()
    return folder / "nano-vae.safetensors"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, vae_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("library")
    library.shard(3, PLAN, library.opened(vae_file)).save(folder / "0.pt")
    return folder


def test_a_shard_follows_from_its_number(vae_file: Path, shelf: Path) -> None:
    kept, again = Shard.load(shelf / "0.pt"), library.shard(3, PLAN, library.opened(vae_file))
    assert torch.equal(kept.z_NFCHW, again.z_NFCHW) and kept.entries == again.entries
    assert kept.z_NFCHW.shape == (7, 9, 16, 4, 4)
    assert any(entry.then for entry in library.shard(0, LIBRARY["test"], library.opened(vae_file)).entries + kept.entries)


def test_pairs_kept_apart_are_never_seen() -> None:
    share = sum(apart(scene, palette) for scene in PAINTERS for palette in ramps_known()) / (len(PAINTERS) * len(ramps_known()))
    assert 0.04 < share < 0.15
    assert not any(apart(shot.scene, shot.palette) for seed in range(200) for shot in library.shots(seed))


def test_training_sees_what_the_product_sees() -> None:
    """The view that training uses gives what the product's rolling memory gives, chunk by chunk."""
    torch.manual_seed(0)
    nano = flow.Nano().eval().requires_grad_(False)
    z, sigma = torch.randn(3, CHUNK, 16, 8, 4), torch.tensor([0.0, 0.0, 0.7]).view(-1, 1) * 1000
    text = nano.prompts(spelled(["blue ocean"]), torch.zeros(3, dtype=torch.long))
    t_RF = sigma.expand(-1, CHUNK)
    forced = nano.net(z, t_RF, text, Forced(nano.net.grid(8, 4), 3, CHUNK, z.device))
    memory = Memory(CachePolicy(9, 3, 3, positions="relative"), nano.net.room(8, 4))
    own = nano.prompts(spelled(["blue ocean"]), torch.zeros(1, dtype=torch.long))
    for chunk in range(3):
        view = memory.begin(Call(chunk * CHUNK, CHUNK, "clean"))
        made = nano.net(z[chunk][None], t_RF[chunk][None], own, view)
        torch.testing.assert_close(made[0], forced[chunk], atol=2e-5, rtol=0)
    past = distil.remembered(nano.net, [z[:1], z[1:2]], own)
    after = nano.net(z[2:], t_RF[2:], own, After(nano.net.grid(8, 4), past, CHUNK, z.device))
    torch.testing.assert_close(after[0], forced[2], atol=2e-5, rtol=0)


def test_the_flow_training_goes_on_where_it_stopped(tmp_path: Path, shelf: Path) -> None:
    first = flow.Trainer(FLOW["test"], shelf, tmp_path, "cpu")
    (loss,) = first.once()
    first.save()
    second = flow.Trainer(FLOW["test"], shelf, tmp_path, "cpu")
    assert 0.5 < loss < 60 and second.step == 1
    assert first.once() == pytest.approx(second.once(), rel=1e-4)
    net = WanTransformer(NANO)
    net.load_state_dict({key: t.float() for key, t in checkpoint.read(tmp_path / "nano.safetensors").items()})


def test_the_flow_is_learnt(tmp_path: Path, shelf: Path) -> None:
    trainer = flow.Trainer(FLOW["test"], shelf, tmp_path, "cpu")
    batch = trainer.library.batch(2, 0)
    before = float(trainer.loss(batch).detach())
    for optimiser in trainer.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3
    for _ in range(6):
        loss = trainer.loss(batch)
        for optimiser in trainer.optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in trainer.optimisers:
            optimiser.step()
    assert float(trainer.loss(batch).detach()) < 0.95 * before


def test_distillation_runs_on_its_own_streams(tmp_path: Path, shelf: Path) -> None:
    taught = flow.Trainer(FLOW["test"], shelf, tmp_path / "flow", "cpu")
    taught.once()
    taught.save()
    trainer = distil.Trainer(DISTIL["test"], shelf, tmp_path / "flow", tmp_path, "cpu")
    before = trainer.student.net.blocks[0].self_attn.q.weight.clone()  # type: ignore[union-attr, operator]
    losses = [trainer.once() for _ in range(3)]
    assert all(loss > 0 for (loss,) in losses)
    assert not torch.equal(before, trainer.student.net.blocks[0].self_attn.q.weight)  # type: ignore[union-attr, arg-type]
    assert trainer.streams is not None and trainer.streams.made >= 1
    trainer.save()
    assert distil.Trainer(DISTIL["test"], shelf, tmp_path / "flow", tmp_path, "cpu").step == 3


def test_the_way_down_ends_at_the_picture() -> None:
    way = distil.levels(0.6, 5, 2.5)
    assert way[0] == pytest.approx(0.6) and way[-1] == 0 and all(a > b for a, b in zip(way, way[1:], strict=False))


def test_muon_moves_along_all_directions() -> None:
    torch.manual_seed(0)
    for shape in ((24, 24), (40, 16), (16, 40)):
        made = torch.linalg.svdvals(orthogonal(torch.randn(shape) @ torch.diag(torch.logspace(0, -1, shape[1]))))
        assert made.min() > 0.3 and made.max() < 1.4


def test_the_judge_learns_to_read_clips(vae_file: Path, shelf: Path) -> None:
    x, shots = judge.looked_at(flow.Library(shelf), library.opened(vae_file))
    taught = judge.taught(x.repeat(4, 1, 1, 1), shots * 4, steps=60, batch=8)
    assert judge.shares_right(taught, x, shots)["palette"] > 0.8, "it can tell the few clips it was taught apart"
