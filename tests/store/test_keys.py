"""Keys go in and never out, and nobody else on the machine reads them."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from scope.errors import BadInput, Busy, NotFound, Unavailable
from scope.settings import Settings, from_environment
from scope.store.keys import Keys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made: Settings = from_environment({"DAYDREAM_SCOPE_DIR": str(tmp_path / "scope"), "HF_HOME": str(tmp_path / "hub")})
    return made


@pytest.mark.parametrize("name", ["huggingface", "civitai"])
def test_store_and_forget(settings: Settings, name: str) -> None:
    keys = Keys.of(settings)
    assert keys.rows[name].source is None
    row = keys.store(name, " secret-1 \n")
    assert (row.source, row.value) == ("stored", "secret-1")
    if os.name == "posix":
        assert stat.S_IMODE(row.path.stat().st_mode) == 0o600
    keys.store(name, "secret-2")
    assert row.value == "secret-2" and len(list(row.path.parent.iterdir())) == 1
    assert keys.forget(name).source is None
    with pytest.raises(NotFound):
        keys.forget(name)


def test_the_environment_wins(settings: Settings) -> None:
    keys = Keys.of(replace(settings, hub_token="hf_env"))
    assert (keys.rows["huggingface"].source, keys.rows["huggingface"].value) == ("env_var", "hf_env")
    with pytest.raises(Busy, match="HF_TOKEN"):
        keys.store("huggingface", "x")
    with pytest.raises(Busy, match="HF_TOKEN"):
        keys.forget("huggingface")
    assert "hf_env" not in repr(replace(settings, hub_token="hf_env"))


@pytest.mark.parametrize("value", ["", " ", "two words", "line\nbreak: x", "ü", "x" * 1001, "\x00"])
def test_what_is_no_key(settings: Settings, value: str) -> None:
    with pytest.raises(BadInput):
        Keys.of(settings).store("huggingface", value)


def test_a_key_nobody_knows(settings: Settings) -> None:
    with pytest.raises(NotFound, match="huggingface, civitai"):
        Keys.of(settings).store("../../x", "secret")


def test_a_folder_that_is_none(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "scope").write_text("a file")
    with pytest.raises(Unavailable):
        Keys.of(settings).store("civitai", "secret")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a b", b"x" * 5000])
def test_a_stored_file_that_is_no_key(settings: Settings, content: bytes) -> None:
    settings.hub_token_file.parent.mkdir(parents=True)
    settings.hub_token_file.write_bytes(content)
    assert Keys.of(settings).rows["huggingface"].source is None


def test_who_sees_which(settings: Settings) -> None:
    keys = Keys.of(replace(settings, hub_url="https://mirror.example", hub_token="hf", civitai_token="cv"))
    tokens = {origin: service.token for origin, service in keys.services().items()}
    assert tokens == {"https://mirror.example:443": "hf", "https://huggingface.co:443": "hf", "https://civitai.com:443": "cv"}
    assert keys.services("mine")["https://civitai.com:443"].token == "mine"
    assert keys.services("not\na key")["https://civitai.com:443"].token == "cv"


def test_where_the_hubs_own_tools_keep_it(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert from_environment({"HF_TOKEN_PATH": f"{home}/t"}).hub_token_file == tmp_path / "t"
    assert from_environment({"HF_HOME": home}).hub_token_file == tmp_path / "token"
    assert from_environment({"XDG_CACHE_HOME": home}).hub_token_file == tmp_path / "huggingface" / "token"
    assert from_environment({}).hub_token_file == Path.home() / ".cache/huggingface/token"


@pytest.mark.parametrize("address", ["hf-mirror.com", "ftp://mirror.example", "https://user@mirror.example", "https://"])
def test_a_mirror_that_is_no_address(address: str) -> None:
    with pytest.raises(BadInput, match="HF_ENDPOINT"):
        from_environment({"HF_ENDPOINT": address})
    assert from_environment({"HF_ENDPOINT": "http://mirror.lan:8080/hub/"}).hub_url == "http://mirror.lan:8080/hub"
