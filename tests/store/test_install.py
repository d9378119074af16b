"""LoRA files from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scope.errors import BadInput, Busy, Denied, NeedsToken, NotFound
from scope.settings import from_environment
from scope.store.install import Installer, Request
from scope.store.loras import LoraFile
from scope.store.manifest import Origin
from scope.store.store import Store
from tests.store.conftest import QUICK
from tests.store.far import Far, sha256
from tests.store.lora_files import lora, put

CONTENT = lora()
WANTED = "/alice/styles/resolve/main/neon.safetensors"


@pytest.fixture
def store(far: Far, other: Far, tmp_path: Path) -> Store:
    """Hugging Face is `far`, CivitAI is `other`."""
    folders = {"DAYDREAM_SCOPE_DIR": str(tmp_path / "scope"), "HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": far.address}
    made = from_environment(folders, civitai_url=other.address, hub_token="hf_secret", civitai_token="cv_secret")
    return Store.of(made, QUICK)


@pytest.fixture
def installer(store: Store) -> Installer:
    return store.installer


def done(installer: Installer, request: Request) -> LoraFile:
    job, target = installer.start(request)
    if job is not None:
        job.future.result(timeout=10)
    return installer.found(target)


def offer(other: Far, **changes: object) -> dict[str, object]:
    other.put("/api/download/models/22", moved_to="/delivery/x?signature=s")
    other.put("/delivery/x?signature=s", CONTENT)
    file = {"name": "Neon v1.safetensors", "primary": True, "hashes": {"SHA256": sha256(CONTENT).upper()}}
    file["downloadUrl"] = f"{other.address}/api/download/models/22"
    pickled = {"name": "neon.pt", "primary": False}
    return {
        "id": 22,
        "modelId": 11,
        "baseModel": "Wan Video 1.3B t2v",
        "trainedWords": ["zxc"],
        "files": [pickled, file],
    } | changes


def test_from_hugging_face(far: Far, installer: Installer) -> None:
    far.publish("alice/styles", {"sub/neon.safetensors": CONTENT}, etag='"x"')
    file = done(installer, installer.from_hub("alice/styles", "sub/neon.safetensors"))
    assert (file.relative, file.sha256) == ("neon.safetensors", sha256(CONTENT))
    assert file.provenance == {"source": "huggingface", "repo_id": "alice/styles", "hf_filename": "sub/neon.safetensors"}
    assert {asked.authorization for asked in far.asked} == {"Bearer hf_secret"}


def test_from_an_address_on_hugging_face(far: Far, installer: Installer) -> None:
    far.put(WANTED, CONTENT, linked_sha256=sha256(CONTENT))
    file = done(installer, installer.from_known_place(f"{far.address}{WANTED}", None))
    assert file.name == "neon" and file.provenance is not None and file.provenance["repo_id"] == "alice/styles"
    assert done(installer, installer.from_known_place(f"{far.address}{WANTED}", "other.safetensors")).name == "other"


def test_from_civitai(far: Far, other: Far, installer: Installer) -> None:
    other.put_json("/api/v1/model-versions/22", offer(other))
    file = done(installer, installer.from_civitai(None, "22"))
    assert file.relative == "Neon v1.safetensors" and file.sha256 == sha256(CONTENT)
    assert file.about.trigger_words == ("zxc",) and file.about.base_model == "Wan2.1 1.3B"
    assert file.provenance == {
        "source": "civitai",
        "model_id": "11",
        "version_id": "22",
        "url": f"{other.address}/api/download/models/22",
    }
    assert {asked.authorization for asked in other.asked} == {"Bearer cv_secret"} and not far.asked
    assert "secret" not in (installer.loras.root / "lora_manifest.json").read_text()


def test_the_newest_version(other: Far, installer: Installer) -> None:
    other.put_json("/api/v1/models/11", {"id": 11, "modelVersions": [offer(other), {"id": 21}]})
    assert done(installer, installer.from_civitai("11", None)).provenance is not None
    other.put_json("/api/v1/models/12", {"id": 12, "modelVersions": []})
    with pytest.raises(NotFound):
        installer.from_civitai("12", None)


def test_a_models_page(other: Far, installer: Installer) -> None:
    other.put_json("/api/v1/model-versions/22", offer(other))
    request = installer.from_known_place(f"{other.address}/models/11/neon-style?modelVersionId=22", "mine.safetensors")
    assert done(installer, request).name == "mine"


def test_somebody_elses_token(other: Far, store: Store) -> None:
    content = {"Content-Disposition": 'attachment; filename="../../x.safetensors"'}
    other.put("/api/download/models/9", CONTENT, headers=content)
    job, target = store.installer.start(store.installer.from_url(f"{other.address}/api/download/models/9"), store.web("theirs"))
    assert job is not None
    job.future.result(timeout=10)
    assert target == store.loras.root / "x.safetensors"
    assert {asked.authorization for asked in other.asked} == {"Bearer theirs"}


@pytest.mark.parametrize("version", [{"files": []}, {"files": [{"name": "x.pt"}]}, {"files": None}])
def test_a_version_without_a_usable_file(other: Far, installer: Installer, version: dict[str, object]) -> None:
    other.put_json("/api/v1/model-versions/22", offer(other, **version))
    with pytest.raises(NotFound):
        installer.from_civitai(None, "22")


@pytest.mark.parametrize(("model", "version"), [(None, None), ("x", None), (None, "1/../2"), (None, "1?x"), (None, "١")])
def test_numbers_that_are_none(installer: Installer, model: str | None, version: str | None) -> None:
    with pytest.raises(BadInput):
        installer.from_civitai(model, version)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x.safetensors", "https://huggingface.co.evil.com/x.safetensors", "https://evilhf.co/x.safetensors"]
    + ["https://huggingface.co/a/b/blob/main/x.safetensors", "https://example.com/huggingface.co/x.safetensors", "x", "file:///x"]
    + ["https://user@huggingface.co/x.safetensors", "https://huggingface.co@evil.com/x.safetensors"],
)
def test_places_that_are_not_known(installer: Installer, url: str) -> None:
    with pytest.raises(BadInput):
        installer.from_known_place(url, None)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/x.safetensors", "http://example.com/x.safetensors", "https://localhost/x.safetensors"]
)
def test_an_address_inside(installer: Installer, url: str) -> None:
    with pytest.raises(BadInput):
        installer.start(installer.from_url(url))


@pytest.mark.parametrize(
    "name", ["x.pt", "x", "../x.safetensors", "a/x.safetensors", ".x.safetensors", "x.safetensors.exe", "con.safetensors"]
)
def test_names(far: Far, installer: Installer, name: str) -> None:
    far.put(WANTED, CONTENT)
    with pytest.raises(BadInput):
        installer.start(installer.from_known_place(f"{far.address}{WANTED}", name))
    assert not installer.loras.root.exists()


def test_an_address_without_a_name(far: Far, installer: Installer) -> None:
    far.put("/download/7", CONTENT)
    with pytest.raises(BadInput, match="filename"):
        installer.start(installer.from_url(f"{far.address}/download/7"))
    assert done(installer, installer.from_url(f"{far.address}/download/7", "x.safetensors")).name == "x"


@pytest.mark.parametrize("subfolder", ["..", "/tmp", "a/../..", ".hidden", "a\\b"])
def test_folders_that_lead_outside(far: Far, installer: Installer, subfolder: str) -> None:
    far.put(WANTED, CONTENT)
    with pytest.raises(BadInput):
        installer.start(replace(installer.from_url(f"{far.address}{WANTED}"), subfolder=subfolder))


def test_a_folder_that_is_a_link(far: Far, installer: Installer, tmp_path: Path) -> None:
    far.put(WANTED, CONTENT)
    installer.loras.root.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (installer.loras.root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match="out of"):
        installer.start(replace(installer.from_url(f"{far.address}{WANTED}"), subfolder="link"))
    assert done(installer, replace(installer.from_url(f"{far.address}{WANTED}"), subfolder="a/b")).folder == "a/b"


def test_a_name_that_is_taken(far: Far, installer: Installer) -> None:
    mine = put(installer.loras.root / "neon.safetensors", b"mine")
    far.put(WANTED, CONTENT)
    with pytest.raises(Busy, match="already"):
        installer.start(installer.from_url(f"{far.address}{WANTED}"))
    assert mine.read_bytes() == b"mine"


def test_the_very_file_is_here(far: Far, installer: Installer) -> None:
    put(installer.loras.root / "neon.safetensors", CONTENT)
    request = replace(installer.from_hub("alice/styles", "neon.safetensors"), sha256=sha256(CONTENT).upper())
    assert installer.start(request, same_will_do=True)[0] is None and not far.asked
    with pytest.raises(Busy):
        installer.start(request)


def test_another_file_than_was_expected(far: Far, installer: Installer) -> None:
    far.put(WANTED, CONTENT)
    request = replace(installer.from_hub("alice/styles", "neon.safetensors"), sha256="0" * 64)
    job, target = installer.start(request)
    assert job is not None and "SHA-256" in str(job.future.exception(timeout=10))
    far.files[WANTED].linked_sha256 = sha256(CONTENT)
    with pytest.raises(BadInput, match="another SHA-256"):
        installer.start(request)
    with pytest.raises(BadInput, match="64"):
        installer.start(replace(request, sha256="12"))
    assert not target.exists() and not list(target.parent.iterdir())


@pytest.mark.parametrize("content", [b"<html>log in</html>", CONTENT[:-1], b""])
def test_a_file_that_is_no_lora(far: Far, installer: Installer, content: bytes) -> None:
    far.put(WANTED, content)
    job, target = installer.start(installer.from_url(f"{far.address}{WANTED}"))
    assert job is not None and job.future.exception(timeout=10) is not None
    assert not target.exists() and not list(target.parent.iterdir())


@pytest.mark.parametrize(("status", "error"), [(401, NeedsToken), (403, Denied), (404, NotFound)])
def test_what_the_far_end_refuses(far: Far, installer: Installer, status: int, error: type[Exception]) -> None:
    far.put(WANTED, CONTENT, statuses=[status])
    with pytest.raises(error):
        installer.start(installer.from_url(f"{far.address}{WANTED}"))


def test_a_redirect_to_a_private_address(far: Far, installer: Installer) -> None:
    far.put(WANTED, moved_to="https://192.168.1.1/neon.safetensors")
    with pytest.raises(BadInput, match="public"):
        installer.start(installer.from_known_place(f"{far.address}{WANTED}", None))


def test_what_is_written_down_has_no_key_in_it(installer: Installer) -> None:
    request = installer.from_url("https://civitai.com/api/download/models/5?token=secret&type=Model")
    assert request.origin == Origin("civitai", version_id="5", url="https://civitai.com/api/download/models/5")
