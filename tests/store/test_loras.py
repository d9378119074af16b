"""The LoRA files that are here."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scope.errors import BadInput, Denied, NotFound
from scope.store.loras import Loras
from scope.store.manifest import NAME, Manifest, Origin
from tests.store.far import sha256
from tests.store.lora_files import lora, put

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")


@pytest.fixture
def loras(tmp_path: Path) -> Loras:
    return Loras(tmp_path / "lora", tmp_path / "shared", tmp_path / "scope" / "hashes.json")


def test_everything_is_listed_with_what_it_is_good_for(loras: Loras, tmp_path: Path) -> None:
    assert loras.list() == []
    put(loras.root / "b.safetensors", lora(5120, 13824))
    put(loras.root / "style" / "a.SafeTensors", lora(notes={"modelspec.trigger_phrase": "zxc"}))
    put(loras.root / "c.pt", b"x")
    put(tmp_path / "shared" / "s.safetensors", b"broken")
    found = loras.list()
    assert [(file.folder, file.name, file.read_only) for file in found] == [
        *[(None, "b", False), (None, "s", True), ("style", "a", False)]
    ]
    assert [file.about.base_model for file in found] == ["Wan2.1 14B", None, "Wan2.1 1.3B"]
    assert found[1].about.problem and found[2].about.trigger_words == ("zxc",)
    assert all(Path(file.path).is_absolute() for file in found)


def test_a_changed_file_is_read_again(loras: Loras) -> None:
    path = put(loras.root / "a.safetensors")
    assert loras.list()[0].about.rank == 4
    put(path, lora(rank=8))
    assert loras.list()[0].about.rank == 8


def test_hashes_are_computed_once(loras: Loras, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(loras.root / "a.safetensors")
    assert loras.list()[0].sha256 is None
    assert loras.list(hashed=True)[0].sha256 == sha256(path.read_bytes())
    monkeypatch.setattr("scope.store.loras.sha256", lambda _path: pytest.fail("read again"))
    assert loras.list()[0].sha256 == sha256(path.read_bytes())
    os.utime(path, ns=(1, 1))
    assert loras.list()[0].sha256 is None


@pytest.mark.parametrize("name", ["a", "a.safetensors"])
def test_remove(loras: Loras, name: str) -> None:
    path = put(loras.root / "a.safetensors")
    loras.manifest.note("a.safetensors", Origin("url"), None, path.stat().st_size)
    assert loras.remove(name).relative == "a.safetensors"
    assert not path.exists() and loras.manifest.entries() == {}
    with pytest.raises(NotFound):
        loras.remove(name)


def test_one_of_several(loras: Loras) -> None:
    one, two = put(loras.root / "x" / "a.safetensors"), put(loras.root / "y" / "a.safetensors")
    with pytest.raises(BadInput, match=r"x/a\.safetensors, y/a\.safetensors"):
        loras.remove("a")
    loras.remove("y/a")
    assert one.exists() and not two.exists()


def test_shared_ones_stay(loras: Loras, tmp_path: Path) -> None:
    path = put(tmp_path / "shared" / "a.safetensors")
    with pytest.raises(Denied, match="shared"):
        loras.remove("a")
    with pytest.raises(Denied):
        loras.set_origin("a", {"source": "local"})
    assert path.exists()


OUTSIDE = [
    "../secret",
    "../secret.safetensors",
    "..\\secret",
    "/etc/passwd",
    "style/../../secret",
    "",
    ".",
    "..",
    "%2e%2e/secret",
    "a\0",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_outside_is_removed(loras: Loras, tmp_path: Path, name: str) -> None:
    secret = put(tmp_path / "secret.safetensors")
    put(loras.root / "style" / "a.safetensors")
    with pytest.raises(NotFound):
        loras.remove(name)
    assert secret.exists()


@given(st.text())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
def test_no_name_reaches_outside(loras: Loras, tmp_path: Path, name: str) -> None:
    secret = put(tmp_path / "secret.safetensors")
    with pytest.raises(NotFound):
        loras.remove(name)
    assert secret.exists()


@POSIX_ONLY
def test_links(loras: Loras, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "a.safetensors")
    loras.root.mkdir(parents=True)
    (loras.root / "folder").symlink_to(outside.parent)
    (loras.root / "circle").symlink_to(loras.root)
    (loras.root / "b.safetensors").symlink_to(outside)
    (loras.root / "nowhere.safetensors").symlink_to(tmp_path / "gone")
    assert [file.relative for file in loras.list()] == ["b.safetensors", "folder/a.safetensors"]
    with pytest.raises(Denied, match="link"):
        loras.remove("a")
    loras.remove("b")
    assert outside.exists() and not (loras.root / "b.safetensors").is_symlink()


# -- the manifest -----------------------------------------------------------------------------------------------------


def test_where_they_come_from(loras: Loras) -> None:
    path = put(loras.root / "x" / "a.safetensors", lora(notes={}))
    origin = Origin("civitai", model_id="1", version_id="2", about={"trigger_words": ["zxc"], "base_model": "Wan Video"})
    entry = loras.manifest.note("x/a.safetensors", origin, "f" * 64, path.stat().st_size)
    assert entry.keys() >= {"filename", "provenance", "sha256", "size_bytes", "added_at"}
    file = loras.list()[0]
    assert file.provenance == {"source": "civitai", "model_id": "1", "version_id": "2"}
    assert (file.sha256, file.about.trigger_words, file.about.base_model) == ("f" * 64, ("zxc",), "Wan2.1 1.3B")
    written = json.loads((loras.root / NAME).read_text())
    assert written["version"] == "1.0" and written["entries"].keys() == {"x/a.safetensors"}
    put(path, lora(rank=32))
    assert loras.list()[0].sha256 is None  # another file under the same name


def test_said_later(loras: Loras) -> None:
    path = put(loras.root / "a.safetensors")
    entry = loras.set_origin("a", {"source": "url", "url": "https://example.com/a.safetensors", "repo_id": None})
    assert entry["sha256"] == sha256(path.read_bytes()) and entry["filename"] == "a.safetensors"
    with pytest.raises(NotFound):
        loras.set_origin("b", {"source": "local"})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"entries": 1}', '{"entries": {"a.safetensors": 1}}', "[" * 100_000])
def test_a_manifest_that_cannot_be_read(loras: Loras, text: str) -> None:
    put(loras.root / "a.safetensors")
    (loras.root / NAME).write_text(text)
    assert [file.provenance for file in loras.list()] == [None]


def test_many_writers(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    threads = [threading.Thread(target=manifest.note, args=(f"{n}.safetensors", Origin("url"), None, n)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(manifest.entries()) == 20 and [path.name for path in tmp_path.iterdir()] == [NAME]
