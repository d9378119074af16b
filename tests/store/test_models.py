"""Weights of pipelines, from a hub that is ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scope.errors import BadInput, Busy, Denied, NeedsToken, NotFound, Unavailable
from scope.published import CONFIG, FILES, NEEDS, UNFINISHED, Published, locate, rows
from scope.store.downloads import Downloads, Job
from scope.store.fetch import Web
from scope.store.hub import Hub
from scope.store.models import Models
from scope.store.transfer import Stop
from tests.store.conftest import QUICK
from tests.store.far import Far

CONTENT = {"longlive": b"L" * 50_000}


@pytest.fixture
def models(far: Far, web: Web, downloads: Downloads, tmp_path: Path) -> Models:
    return Models(tmp_path / "models", Hub(web, far.address, QUICK), downloads)


def publish(far: Far, pipeline: str, *, leave_out: str = "") -> None:
    repos: dict[str, dict[str, bytes]] = {}
    for name in NEEDS[pipeline]:
        for part in FILES[name].parts:
            files = repos.setdefault(FILES[name].repo, {CONFIG: b"{}", "README.md": b"not wanted", ".gitattributes": b""})
            if part != leave_out:
                files[part] = CONTENT.get(name, part.encode() * 100)
    for repo, files in repos.items():
        far.publish(repo, files)


def fetched(models: Models, pipeline: str) -> None:
    job = models.download(pipeline)
    assert isinstance(job, Job)
    job.future.result(timeout=10)


def test_a_pipeline_from_nothing(far: Far, models: Models) -> None:
    publish(far, "longlive")
    assert not models.present("longlive") and models.job("longlive") is None
    fetched(models, "longlive")
    assert models.present("longlive") and all(artifact.present for artifact in models.artifacts("longlive"))
    assert models.download("longlive") is None
    assert locate("longlive", models.folder).read_bytes() == CONTENT["longlive"]
    assert (models.folder / "LongLive-1.3B" / CONFIG).read_bytes() == b"{}"
    assert not list(models.folder.rglob("README.md")) and not list(models.folder.rglob(f"*{UNFINISHED}"))
    before = len(far.asked)
    publish(far, "memflow")
    fetched(models, "memflow")
    asked = [asked.path for asked in far.asked[before:]]
    assert asked and not any("umt5" in path for path in asked)  # what the two share is here


def test_folders_of_an_earlier_version_are_found(models: Models) -> None:
    for row in rows("rife"):
        row.under(models.folder).parent.mkdir(parents=True)
        row.under(models.folder).write_bytes(b"x")
    assert models.present("rife") and models.download("rife") is None


def test_nothing_partial_is_present(far: Far, models: Models) -> None:
    tokens = FILES["tokenizer"]
    home = tokens.under(models.folder)
    home.mkdir(parents=True)
    assert not tokens.present(models.folder)
    for name in tokens.holds[:-1]:
        (home / name).write_bytes(b"x")
    (home / f"{tokens.holds[-1]}.0123456789ab{UNFINISHED}").write_bytes(b"x")
    assert not tokens.present(models.folder)
    (home / tokens.holds[-1]).touch()
    assert not tokens.present(models.folder)
    with pytest.raises(NotFound, match="fetch google/umt5-xxl"):
        locate("tokenizer", models.folder)
    (home / tokens.holds[-1]).write_bytes(b"x")
    assert tokens.present(models.folder)


def test_a_broken_download_is_not_present_and_goes_on(far: Far, models: Models) -> None:
    publish(far, "longlive")
    path = "/daydreamlive/LongLive-1.3B/resolve/main/models/longlive_base.pt"
    far.files[path].breaks_after_bytes = [20_000] + [0] * 10
    job = models.download("longlive")
    assert job is not None and isinstance(job.future.exception(timeout=10), Unavailable)
    assert not models.present("longlive")
    artifact = next(found for found in models.artifacts("longlive") if "LongLive" in found.repo)
    assert not artifact.present and (models.folder / "LongLive-1.3B/models").is_dir()
    far.files[path].breaks_after_bytes = []
    fetched(models, "longlive")
    assert [asked.first_byte for asked in far.requests(path)][-1] == 20_000


def test_a_truncated_file_is_replaced(far: Far, models: Models) -> None:
    publish(far, "rife")
    (models.folder / "RIFE").mkdir(parents=True)
    row = next(rows("rife"))
    row.under(models.folder).write_bytes(b"short")
    assert [finding.verdict for finding in models.verify("rife")] == ["damaged"]
    assert models.repair(models.verify("rife")) == [row.under(models.folder)]
    fetched(models, "rife")
    assert [(finding.verdict, finding.told) for finding in models.verify("rife")] == [("good", "SHA-256")]
    row.under(models.folder).write_bytes(b"X" * len(b"flownet.pkl" * 100))
    assert [finding.told for finding in models.verify("rife")] == ["another SHA-256 than the hub's"]


def test_verify_counts_what_it_read_and_names_what_is_missing(far: Far, models: Models) -> None:
    publish(far, "longlive")
    assert {finding.verdict for finding in models.verify("longlive")} == {"missing"}
    fetched(models, "longlive")
    read: list[int] = []
    assert {finding.verdict for finding in models.verify("longlive", read.append)} == {"good"}
    assert sum(read) == sum(path.stat().st_size for path in models.folder.rglob("*") if path.is_file() and path.name != CONFIG)
    publish(far, "longlive", leave_out="models/lora.pt")
    assert {finding.verdict for finding in models.verify("longlive")} == {"good", "unknown"}


def test_removing_spares_what_others_need(far: Far, models: Models) -> None:
    for pipeline in ("longlive", "memflow"):
        publish(far, pipeline)
        fetched(models, pipeline)
    freed = models.remove("longlive")
    assert freed >= len(CONTENT["longlive"])
    assert models.present("memflow") and not models.present("longlive")
    models.remove("memflow")
    assert not any(row.present(models.folder) for name in ("longlive", "memflow") for row in rows(name))
    with pytest.raises(NotFound):
        models.remove("memflow")


def test_removing_takes_unfinished_files_along(far: Far, models: Models) -> None:
    left = models.folder / "RIFE" / f"flownet.pkl.0123456789ab{UNFINISHED}"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"123")
    assert models.remove("rife") == 3 and not left.exists()


def test_not_while_it_is_being_fetched(far: Far, models: Models) -> None:
    publish(far, "rife")
    far.files["/daydreamlive/RIFE/resolve/main/flownet.pkl"].bytes_per_s = 1000
    models.download("rife")
    with pytest.raises(Busy):
        models.download("rife")
    with pytest.raises(Busy):
        models.remove("rife")
    models.downloads.cancel("rife")


def test_a_pipeline_nobody_knows(models: Models) -> None:
    assert models.present("passthrough") and models.artifacts("passthrough") == []
    with pytest.raises(NotFound, match="there are: longlive"):
        models.download("passthrough")


def test_a_repository_without_the_file(far: Far, models: Models) -> None:
    publish(far, "rife", leave_out="flownet.pkl")
    job = models.download("rife")
    assert job is not None and isinstance(job.future.exception(timeout=10), NotFound)
    assert "flownet.pkl" in (job.progress().error or "")


@pytest.mark.parametrize(("status", "error"), [(401, NeedsToken), (403, Denied)])
def test_refused_by_the_hub(far: Far, models: Models, status: int, error: type[Exception]) -> None:
    far.put("/api/models/daydreamlive/RIFE/tree/main?recursive=true", statuses=[status])
    job = models.download("rife")
    assert job is not None and isinstance(job.future.exception(timeout=10), error)


# -- the hub ----------------------------------------------------------------------------------------------------------


def test_a_list_in_pages_with_busy_moments(far: Far, web: Web) -> None:
    far.put_json("/api/models/a/b/tree/main?recursive=true", [{"type": "file", "path": "x", "size": 1}], statuses=[503, 429])
    far.files["/api/models/a/b/tree/main?recursive=true"].headers["Link"] = f'<{far.address}/more>; rel="next"'
    far.put_json("/more", [{"type": "file", "path": "sub/y", "size": 2}])
    found = Hub(web, far.address, QUICK).files("a/b", Stop())
    assert [(file.path, file.size_bytes, file.sha256) for file in found.values()] == [("x", 1, None), ("sub/y", 2, None)]
    assert found["sub/y"].url == f"{far.address}/a/b/resolve/main/sub/y"


@pytest.mark.parametrize("path", ["../../outside", "/etc/passwd", "a\\b", "C:x", "a/../../b", ".ssh/config"])
def test_a_list_that_leads_outside(far: Far, web: Web, path: str) -> None:
    far.put_json("/api/models/a/b/tree/main?recursive=true", [{"type": "file", "path": path, "size": 1}])
    assert Hub(web, far.address, QUICK).files("a/b") == {}


@pytest.mark.parametrize("answer", [[{"type": "file", "path": 1, "size": 1}], [{"type": "file", "path": "x", "size": "1"}]])
def test_a_list_that_makes_no_sense(far: Far, web: Web, answer: object) -> None:
    far.put_json("/api/models/a/b/tree/main?recursive=true", answer)
    with pytest.raises(Unavailable, match="as expected"):
        Hub(web, far.address, QUICK).files("a/b")


@pytest.mark.parametrize("repo", ["", "a", "a/b/c", "../b", "a/..", "a/b?x", "a/b#", "a b/c", "a/b%2f", "a/" + "b" * 100])
def test_names_of_no_repository(web: Web, repo: str) -> None:
    with pytest.raises(BadInput):
        Hub(web).url(repo, "x")


def test_the_table_is_sound() -> None:
    for names in NEEDS.values():
        for name in names:
            row: Published = FILES[name]
            assert row.repo.count("/") == 1 and not row.file.startswith(("/", ".")) and os.path.normpath(row.file) == row.file
    places = [(row.repo.split("/")[1], part) for row in FILES.values() for part in row.parts]
    assert len(places) == len(set(places))
