"""`scope bench`, as short as it goes: every figure there and plausible, in the table and in the file; mistakes in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scope.__main__ import main
from scope.bench.table import ROWS

SMALL = ["--width", "48", "--height", "32", "--seconds", "0"]
STAGES = ["input", "context", "denoise", "remember", "decode", "hand over", "encode"]
EVERYWHERE = ROWS.keys() - {"peak_device_mib", "planned_mib"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *SMALL, "--json", "out.json", *arguments])
    assert ended.value.code == 0
    return json.loads(Path("out.json").read_text())


@pytest.mark.parametrize(("pipeline", "mode", "frames"), [("longlive", "text", 12.0), ("streamdiffusionv2", "video", 4.0)])
def test_every_figure_of_a_row(pipeline: str, mode: str, frames: float, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench("--pipeline", pipeline, "--steps", "1000,500", "--vae", "tae")
    figures, setup = found["figures"], found["setup"]
    assert all(figures[name] > 0 for name in EVERYWHERE) and figures["frames_per_chunk"] == frames
    assert figures["interval_p50_ms"] <= figures["interval_p99_ms"] and figures["live_fps"] <= 62
    assert figures["control_p50_ms"] <= figures["control_worst_ms"]
    assert figures["load_s"] < figures["first_picture_cold_s"]
    assert list(found["stages_ms"]) == STAGES and all(ms >= 0 for ms in found["stages_ms"].values())
    assert (setup["mode"], setup["options"]["vae_type"], setup["options"]["width"]) == (mode, "tae", 48)
    assert setup["values"]["denoising_step_list"] == ["1000", "500"] and "Random weights" in setup["notice"]
    assert {"date", "machine"} <= found.keys() and {"device", "torch", "cores", "load"} <= found["machine"].keys()
    told = capsys.readouterr().out
    assert f"{pipeline} 48x32, {mode}, random small tae, on " in told and "frames a second, flat out" in told
    assert all(stage in told for stage in STAGES)


@pytest.mark.parametrize("pipeline", ["test-pattern", "passthrough"])
def test_what_has_no_model_is_measured_as_well(pipeline: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures = bench("--pipeline", pipeline)["figures"]
    assert figures["fps"] > 30 and figures["frames_per_chunk"] == 1
    assert (figures["control_p50_ms"] is None) is (pipeline == "passthrough")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pipeline", "nothing"], "no pipeline 'nothing'"),
        (["--steps", "500,1000"], "lower than the one before"),
        (["--steps", "few"], "denoising_step_list"),
        (["--size", "huge"], "random_size"),
        (["--load", "overlap"], "NAME=VALUE"),
        (["--pipeline", "test-pattern", "--mode", "video"], "no video mode"),
    ],
)
def test_mistakes_are_told_in_words(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *SMALL, *arguments])
    assert ended.value.code == 1 and words in capsys.readouterr().err
