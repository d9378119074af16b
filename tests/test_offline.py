"""Without a server: a clip from a sentence, from a video, from the command line."""

from __future__ import annotations

import runpy
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from scope import offline
from scope.__main__ import main, named_values
from scope.errors import BadInput, BadParams, NotFound

SMALL: dict[str, Any] = {"width": 48, "height": 32, "weights": "random"}
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAYDREAM_SCOPE_DIR", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def about(path: Path) -> tuple[int, int, int, float]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return sum(1 for _ in file.decode(video=0)), stream.width, stream.height, float(stream.average_rate or 0)


def test_a_sentence_becomes_a_clip(home: Path) -> None:
    player = offline.load("longlive", **SMALL)
    assert "Random weights" in player.notice
    assert offline.write(home / "a.mp4", islice(player.play(prompts="a cat"), 20)) == 20
    assert about(home / "a.mp4") == (20, 48, 32, 16.0)


def test_a_video_is_followed_to_its_end_through_a_chain(home: Path) -> None:
    offline.write(home / "a.mp4", islice(offline.load("test-pattern", width=64, height=32).play(), 30))
    player = offline.load("gray", "streamdiffusionv2", **SMALL)
    frames = list(player.play(offline.read(home / "a.mp4"), prompts="x", noise_scale=0.4))
    assert 26 <= len(frames) <= 34 and (frames[0].width, frames[0].height) == (48, 32)
    again = list(player.play(offline.read(home / "a.mp4"), prompts="x", noise_scale=0.4))
    assert all((a.i420() == b.i420()).all() for a, b in zip(frames, again, strict=True)), "the same, every time"


def test_what_cannot_be_is_said(home: Path) -> None:
    player = offline.load("test-pattern", width=64, height=32)
    with pytest.raises(BadParams, match="nothing here is called 'spead'"):
        player.play(spead=1)
    with pytest.raises(BadParams, match="speed"):
        player.play(speed=100)
    with pytest.raises(BadInput, match="no video mode"):
        player.play([])
    with pytest.raises(BadInput, match="no text mode"):
        offline.load("passthrough").play()
    with pytest.raises(NotFound, match="nothing"):
        offline.load("nothing")
    (home / "a.mp4").write_text("no video")
    with pytest.raises(BadInput, match="cannot be read"):
        list(offline.read(home / "a.mp4"))
    with pytest.raises(BadInput, match="no frame"):
        offline.write(home / "b.mp4", [])


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--load", "width=64", "--load", "height=32"]
    for more, count in ((["--seconds", "0.5"], 15), (["--seconds", "0.05"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(["run", "--pipeline", "test-pattern", "--out", "c.mp4", "--prompt", "a", "--set", "speed=0.5", *more, *size])
        assert ended.value.code == 0 and about(home / "c.mp4")[0] == count
    assert "frames at 30 a second" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["run", "--pipeline", "test-pattern", "--out", "c.mp4", "--set", "speed=fast"])
    assert ended.value.code == 1 and "speed" in capsys.readouterr().err


def test_values_are_json_or_text() -> None:
    assert named_values(["a=1", "b=[1, 2]", "c=hello = you", "d="]) == {"a": 1, "b": [1, 2], "c": "hello = you", "d": ""}
    with pytest.raises(BadInput, match="NAME=VALUE"):
        named_values(["a"])


def test_the_example_in_ten_lines_runs(home: Path) -> None:
    example = ROOT / "examples" / "ten_lines.py"
    code = [line for line in example.read_text().splitlines() if line and not line.startswith('"""')]
    assert len(code) <= 10
    runpy.run_path(str(example))
    assert about(home / "lighthouse.mp4")[:3] == (160, 320, 192)
