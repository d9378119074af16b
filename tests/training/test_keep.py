"""The loop that every training runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.keep import Run, train


class Counting:
    """A training whose loss is given, step by step."""

    def __init__(self, folder: Path, losses: list[float]) -> None:
        self.run, self.step, self.saved_at, self._losses = Run(folder), 0, list[int](), losses

    def once(self) -> tuple[float, float]:
        self.step += 1
        return self._losses[self.step - 1], 30.0

    def save(self) -> None:
        self.saved_at.append(self.step)


def test_it_ends_at_the_last_step_saves_and_tells_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = Counting(tmp_path, [1.0, 3.0, 2.0, 4.0, 9.0])
    train(running, "thing", 5, figures=("loss", "psnr"), every=2)
    assert running.saved_at == [5]
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["thing 2/5 loss 2.0000 psnr 30.0000", "thing 4/5 loss 3.0000 psnr 30.0000"]


def test_a_loss_that_is_none_ends_it_and_is_not_saved(tmp_path: Path) -> None:
    running = Counting(tmp_path, [1.0, float("nan"), 1.0])
    with pytest.raises(SystemExit, match="nan at step 2: .* lower rate"):
        train(running, "thing", 3)
    assert running.saved_at == []


def test_what_is_due_is_saved_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Counting(tmp_path, [1.0] * 4)
    monkeypatch.setattr(running.run, "due", lambda: running.step == 2)
    train(running, "thing", 4)
    assert running.saved_at == [2, 4]
