"""Uploads stay in their folder, arrive whole, and cost no memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from scope.errors import BadInput
from scope.server.assets import Outside, Shelf
from scope.settings import Settings
from tests.server.conftest import BASE_URL, Build, raw

UPLOAD = "/api/v1/assets"


def put(client: TestClient, name: str, content: bytes = b"pixels", **query: str) -> str:
    reply = client.post(UPLOAD, params={"filename": name} | query, content=content)
    assert reply.status_code == 200, reply.text
    path: str = reply.json()["path"]
    return path


def test_upload_list_and_fetch(client: TestClient, settings: Settings) -> None:
    path = put(client, "clip.mp4", b"0123456789")
    assert Path(path) == settings.assets_dir.resolve() / "clip.mp4"
    listed = client.get(UPLOAD).json()["assets"]
    assert [(one["name"], one["type"], one["folder"]) for one in listed] == [("clip", "video", None)]
    for address in ("clip.mp4", path, path.lstrip("/")):
        reply = client.get(f"{UPLOAD}/{address}")
        assert (reply.content, reply.headers["content-type"]) == (b"0123456789", "video/mp4")
    part = client.get(f"{UPLOAD}/clip.mp4", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_newest_first_and_by_type(client: TestClient) -> None:
    for age, name in enumerate(["a.png", "sub/b.wav", "c.JPG"]):
        os.utime(put(client, name), (1000 + age, 1000 + age))
    assert [one["name"] for one in client.get(UPLOAD).json()["assets"]] == ["c", "b", "a"]
    assert [one["folder"] for one in client.get(UPLOAD, params={"type": "audio"}).json()["assets"]] == ["sub"]
    assert client.get(UPLOAD, params={"type": "program"}).status_code == 422


def test_a_taken_name_gets_a_number_unless_told_otherwise(client: TestClient) -> None:
    first, second = put(client, "a.png", b"1"), put(client, "a.png", b"2")
    assert (Path(first).name, Path(second).name) == ("a.png", "a-2.png")
    assert put(client, "a.png", b"3", overwrite="true") == first
    assert Path(first).read_bytes() == b"3"


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/etc/a.png", "a/../../b.png", "..", ".a.png", "a\\b.png", "C:a.png", "a\0.png", "con.png", "a.png ", "a\n.png"]
    + [
        "a.svg",
        "a.html",
        "a",
        "a.png.exe",
        "x" * 300 + ".png",
        "/".join("abcdefghi") + ".png",
        "\ud800.png".encode("utf-8", "replace").decode(),
    ],
)
def test_names_that_are_refused(client: TestClient, settings: Settings, name: str) -> None:
    reply = client.post(UPLOAD, params={"filename": name}, content=b"x")
    assert reply.status_code == 400, reply.text
    assert not [path for path in settings.base_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", ["../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "sub/../../secret.png", "/etc/passwd"])
async def test_reading_stays_inside(build_app: Build, settings: Settings, path: str) -> None:
    settings.assets_dir.mkdir(parents=True)
    (settings.assets_dir.parent / "secret.png").write_bytes(b"secret")
    with TestClient(build_app(), base_url=BASE_URL) as client:
        assert client.get(f"{UPLOAD}/{path}").status_code in (403, 404)
    plain = path.replace("%2f", "/").replace("%2e", ".")
    assert (await raw(build_app(), "GET", f"{UPLOAD}/{plain}", [("host", "localhost")])).status == 403


def test_a_sibling_with_the_same_prefix_is_outside(client: TestClient, settings: Settings) -> None:
    sibling = settings.assets_dir.with_name(settings.assets_dir.name + "-private")
    sibling.mkdir(parents=True)
    (sibling / "a.png").write_bytes(b"secret")
    assert client.get(f"{UPLOAD}/{sibling}/a.png").status_code == 403
    assert client.get(f"{UPLOAD}/..%2f{sibling.name}/a.png").status_code == 403


def test_links_do_not_lead_out(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    secret = tmp_path / "elsewhere" / "secret.png"
    secret.write_bytes(b"secret")
    settings.assets_dir.mkdir(parents=True)
    (settings.assets_dir / "link.png").symlink_to(secret)
    (settings.assets_dir / "folder").symlink_to(tmp_path / "elsewhere")
    (settings.assets_dir / "circle.png").symlink_to(settings.assets_dir / "circle.png")
    assert client.get(f"{UPLOAD}/link.png").status_code == 403
    assert client.get(f"{UPLOAD}/folder/secret.png").status_code == 403
    assert client.get(f"{UPLOAD}/circle.png").status_code == 404
    assert client.get(UPLOAD).json() == {"assets": []}
    for name in ("link.png", "folder/new.png"):
        reply = client.post(UPLOAD, params={"filename": name, "overwrite": "true"}, content=b"x")
        assert reply.status_code == 403
    assert secret.read_bytes() == b"secret"
    assert not (tmp_path / "elsewhere" / "new.png").exists()


def test_only_media_files_are_served(client: TestClient, settings: Settings) -> None:
    settings.assets_dir.mkdir(parents=True)
    (settings.assets_dir / "notes.html").write_text("<script>")
    assert client.get(f"{UPLOAD}/notes.html").status_code == 404
    assert client.get(f"{UPLOAD}/{'x' * 400}.png").status_code == 404


def test_a_file_where_a_folder_is_needed(client: TestClient) -> None:
    put(client, "a.png")
    assert client.post(UPLOAD, params={"filename": "a.png/b.png"}, content=b"x").status_code == 400


def test_an_empty_upload_leaves_nothing(client: TestClient, settings: Settings) -> None:
    assert client.post(UPLOAD, params={"filename": "a.png"}, content=b"").status_code == 400
    assert not list(settings.assets_dir.iterdir())


async def test_too_large_an_upload_leaves_nothing(build_app: Build, settings: Settings) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    app, headers = build_app(max_upload_bytes=3500), [("host", "localhost")]
    undeclared = await raw(app, "POST", UPLOAD, headers, body(), query="filename=a.png")
    declared = await raw(app, "POST", UPLOAD, [*headers, ("content-length", "5000")], body(), query="filename=a.png")
    assert (undeclared.status, declared.status, declared.pieces_read) == (413, 413, 0)
    assert not list(settings.assets_dir.iterdir())


async def test_a_large_upload_is_never_in_memory(tmp_path: Path) -> None:
    piece = bytes(1 << 20)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield piece

    tracemalloc.start()
    try:
        asset = await Shelf(tmp_path).add("big.mp4", body())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert asset.size_mb == 48
    assert peak < 4 << 20


async def test_a_broken_upload_is_never_seen(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        assert Shelf(tmp_path).list() == []
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await Shelf(tmp_path).add("a.png", body())
    assert not list(tmp_path.iterdir())


async def test_leftovers_of_a_killed_server_are_cleared(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    old = tmp_path / ".upload-abc.png"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    await Shelf(tmp_path).add("a.png", body())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


async def test_shelf_alone_refuses_too(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(BadInput):
        await Shelf(tmp_path).add("../a.png", body())
    with pytest.raises(Outside):
        Shelf(tmp_path).find("../a.png")
