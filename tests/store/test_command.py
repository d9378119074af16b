"""`scope models` and `scope loras`, as a user calls them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scope.__main__ import cli
from scope.published import NEEDS, rows
from tests.store.far import Far
from tests.store.lora_files import lora, put
from tests.store.test_models import publish

Call = Callable[..., Result]


@pytest.fixture
def call(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    clean = [name for name in os.environ if name.startswith(("SCOPE_", "DAYDREAM_", "HF_", "CIVITAI"))]
    for name in clean:
        monkeypatch.delenv(name)
    for name, value in {"DAYDREAM_SCOPE_DIR": tmp_path, "HF_HOME": tmp_path / "hub", "HF_ENDPOINT": far.address}.items():
        monkeypatch.setenv(name, str(value))

    def called(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments)

    return called


def test_models(far: Far, call: Call, tmp_path: Path) -> None:
    publish(far, "rife")
    listed = call("models", "list").stdout
    assert all(name in listed for name in NEEDS) and "to fetch" in listed and "are free" in listed
    done = call("models", "download", "rife")
    assert done.exit_code == 0 and "everything is here" in done.stdout, done.output
    assert "here" in next(line for line in call("models", "list").stdout.splitlines() if line.startswith("rife"))
    checked = call("models", "verify")
    assert checked.exit_code == 0 and "good" in checked.stdout
    path = next(rows("rife")).under(tmp_path / "models")
    path.write_bytes(b"short")
    assert call("models", "verify", "rife").exit_code == 1
    mended = call("models", "verify", "rife", "--repair")
    assert mended.exit_code == 0 and path.stat().st_size > 5
    assert "freed" in call("models", "rm", "rife").stdout and not path.exists()


@pytest.mark.parametrize("command", ["download", "verify", "rm"])
def test_a_pipeline_nobody_knows(call: Call, command: str) -> None:
    done = call("models", command, "nope")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1 and "longlive" in done.stderr


def test_a_refusal_is_one_sentence(far: Far, call: Call) -> None:
    publish(far, "rife")
    far.files["/daydreamlive/RIFE/resolve/main/flownet.pkl"].statuses = [401]
    done = call("models", "download", "rife")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1 and "HF_TOKEN" in done.stderr


def test_loras(far: Far, call: Call, tmp_path: Path) -> None:
    assert "none" in call("loras", "list").stdout
    far.publish("alice/styles", {"sub/neon.safetensors": lora(notes={"trigger_words": "zxc"})})
    done = call("loras", "install", "alice/styles/sub/neon.safetensors")
    assert done.exit_code == 0 and "Wan2.1 1.3B" in done.stdout, done.output
    url = f"{far.address}/alice/styles/resolve/main/sub/neon.safetensors"
    assert call("loras", "install", url, "--filename", "other.safetensors").exit_code == 0
    lines = call("loras", "list", "--sha256").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["neon.safetensors", "other.safetensors"]
    assert all("words: zxc" in line and len(line.split()[-1]) == 64 for line in lines)
    assert call("loras", "rm", "other").exit_code == 0
    assert [path.name for path in (tmp_path / "models" / "lora").glob("*.safetensors")] == ["neon.safetensors"]


@pytest.mark.parametrize(
    "source", ["nonsense", "civitai:x", "http://example.com/x.safetensors", "https://10.0.0.1/x.safetensors"]
)
def test_what_cannot_be_installed(call: Call, source: str) -> None:
    done = call("loras", "install", source)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1


def test_shared_ones_stay(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYDREAM_SCOPE_LORA_SHARED_DIR", str(tmp_path / "shared"))
    put(tmp_path / "shared" / "x.safetensors")
    assert call("loras", "rm", "x").exit_code == 1


def test_help_costs_little() -> None:
    code = "import sys, scope.__main__; assert not {'http.client', 'torch', 'fastapi', 'scope.store.store'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
