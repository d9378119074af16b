"""One file against a server that breaks, throttles and lies."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scope.errors import BadInput, Busy, Denied, NeedsToken, NotFound, Unavailable
from scope.published import UNFINISHED
from scope.store.fetch import Web
from scope.store.partial import beside, claim
from scope.store.safety import Rules
from scope.store.transfer import Cancelled, Stop, Transfer, Wanted
from tests.store.conftest import QUICK
from tests.store.far import Far, far_end, sha256

CONTENT = random.Random(1).randbytes(300_000)


def wanted(far: Far, folder: Path, content: bytes = CONTENT, **known: Any) -> Wanted:
    return Wanted(f"{far.address}/file", folder / "sub" / "file.bin", "the file", **({"sha256": sha256(content)} | known))


def fetch(file: Wanted, web: Web, stop: Stop | None = None) -> Transfer:
    made = Transfer(file, web, QUICK)
    made.run(stop or Stop())
    return made


def unfinished(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{UNFINISHED}"))


def test_a_file_comes_whole_and_leaves_nothing_beside_it(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path)
    made = fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert (made.done_bytes, made.total_bytes, made.rest_bytes) == (len(CONTENT), len(CONTENT), 0)
    assert [path.name for path in file.target.parent.iterdir()] == ["file.bin"]
    fetch(file, web)
    assert len(far.asked) == 1  # what is here is not asked for again


def test_it_goes_on_at_the_byte_where_it_broke(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, breaks_after_bytes=[100_000, 50_000])
    file = wanted(far, tmp_path)
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert [asked.first_byte for asked in far.asked] == [None, 100_000, 150_000]


def test_it_goes_on_in_another_process(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path)
    file.target.parent.mkdir()
    beside(file.target, sha256(CONTENT)).write_bytes(CONTENT[:123_456])
    assert Transfer(file, web).done_bytes == 123_456
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert [asked.first_byte for asked in far.asked] == [123_456]


def test_what_lay_here_was_something_else(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path)
    file.target.parent.mkdir()
    beside(file.target, sha256(CONTENT)).write_bytes(bytes(123_456))
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert [asked.first_byte for asked in far.asked] == [123_456, None]


@pytest.mark.parametrize("here", [len(CONTENT), len(CONTENT) + 5])
def test_as_much_as_there_is_or_more_lies_here(far: Far, web: Web, tmp_path: Path, here: int) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path, size_bytes=len(CONTENT))
    file.target.parent.mkdir()
    beside(file.target, sha256(CONTENT)).write_bytes((CONTENT + bytes(5))[:here])
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT


def test_whole_but_unnamed_without_a_known_size(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path)
    file.target.parent.mkdir()
    beside(file.target, sha256(CONTENT)).write_bytes(CONTENT)
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert len(far.asked) == 1


def test_a_server_that_ignores_ranges_begins_again(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, breaks_after_bytes=[100_000], knows_ranges=False)
    file = wanted(far, tmp_path)
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT


@pytest.mark.parametrize("size_bytes", [None, len(CONTENT)])
def test_a_length_that_is_too_long_is_given_up(far: Far, web: Web, tmp_path: Path, size_bytes: int | None) -> None:
    far.put("/file", CONTENT, claims_bytes=len(CONTENT) + 1000)
    file = wanted(far, tmp_path, size_bytes=size_bytes)
    with pytest.raises(Unavailable):
        fetch(file, web)
    assert not file.target.exists()


def test_a_length_that_is_too_short_is_found_out_by_the_hash(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, claims_bytes=1000)
    file = wanted(far, tmp_path)
    with pytest.raises(Unavailable, match="SHA-256"):
        fetch(file, web)
    assert not file.target.exists() and not unfinished(tmp_path)


def test_more_than_was_announced(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, says_length=False)
    with pytest.raises(Unavailable, match="more than"):
        fetch(wanted(far, tmp_path, size_bytes=1000), web)
    assert not unfinished(tmp_path)


def test_more_than_is_wanted(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    with pytest.raises(BadInput, match="at most"):
        fetch(wanted(far, tmp_path, limit_bytes=1000), web)


def test_without_a_length(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, says_length=False)
    file = wanted(far, tmp_path, sha256=None)
    assert fetch(file, web).total_bytes == len(CONTENT)
    assert file.target.read_bytes() == CONTENT


def test_a_wrong_hash_keeps_nothing(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path, b"something else")
    with pytest.raises(Unavailable, match="SHA-256"):
        fetch(file, web)
    assert not file.target.exists() and not unfinished(tmp_path)


@pytest.mark.parametrize(
    ("status", "error"), [(401, NeedsToken), (403, Denied), (404, NotFound), (410, NotFound), (418, Unavailable)]
)
def test_what_is_not_asked_twice(far: Far, web: Web, tmp_path: Path, status: int, error: type[Exception]) -> None:
    far.put("/file", CONTENT, statuses=[status])
    with pytest.raises(error):
        fetch(wanted(far, tmp_path), web)
    assert len(far.asked) == 1 and not unfinished(tmp_path)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(far: Far, web: Web, tmp_path: Path, status: int) -> None:
    far.put("/file", CONTENT, statuses=[status, status])
    fetch(wanted(far, tmp_path), web)
    assert len(far.asked) == 3


def test_a_server_may_say_when(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, statuses=[429], retry_after="1")
    began = time.monotonic()
    fetch(wanted(far, tmp_path), web)
    assert time.monotonic() - began >= 1


def test_patience_ends(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, breaks_after_bytes=[100_000] + [0] * 20)
    with pytest.raises(Unavailable, match="kept"):
        fetch(wanted(far, tmp_path), web)
    assert len(far.asked) == 1 + QUICK.tries - 1
    assert unfinished(tmp_path)[0].stat().st_size == 100_000


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with far_end() as gone:
        web = Web(Rules.trusting(gone.address))
    with pytest.raises(Unavailable, match="cannot be reached"):
        fetch(wanted(gone, tmp_path), web)


def test_another_version_is_not_mixed_in(far: Far, web: Web, tmp_path: Path) -> None:
    file = wanted(far, tmp_path, sha256=None, identity='"one"')
    file.target.parent.mkdir()
    beside(file.target, '"one"').write_bytes(bytes(1000))
    far.put("/file", CONTENT, etag='"two"')
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT
    assert [asked.first_byte for asked in far.asked] == [1000, None]


def test_without_any_mark_nothing_old_is_used(far: Far, web: Web, tmp_path: Path) -> None:
    file = wanted(far, tmp_path, sha256=None)
    file.target.parent.mkdir()
    beside(file.target, file.url).write_bytes(bytes(1000))
    far.put("/file", CONTENT)
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT


def test_compressed_is_not_what_was_asked_for(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, headers={"Content-Encoding": "gzip"})
    with pytest.raises(Unavailable, match="form"):
        fetch(wanted(far, tmp_path), web)


def test_cancel_at_once_although_the_server_sleeps(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, bytes_per_s=20_000)
    file, stop = wanted(far, tmp_path), Stop()
    ended: list[BaseException] = []

    def run() -> None:
        try:
            fetch(file, web, stop)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not unfinished(tmp_path) or not unfinished(tmp_path)[0].exists():
        time.sleep(0.01)
    time.sleep(0.3)
    began = time.monotonic()
    stop.ask()
    thread.join(5)
    assert ended and time.monotonic() - began < 1
    assert not file.target.exists()
    kept = unfinished(tmp_path)[0].stat().st_size
    far.files["/file"].bytes_per_s = 0
    fetch(file, web)
    assert 0 < kept < len(CONTENT) and far.asked[-1].first_byte == kept


def test_cancelled_before_it_began(far: Far, web: Web, tmp_path: Path) -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Cancelled):
        fetch(wanted(far, tmp_path), web, stop)
    assert not far.asked


def test_two_that_want_the_same_file_fetch_it_once(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT, bytes_per_s=1_000_000)
    file = wanted(far, tmp_path)
    threads = [threading.Thread(target=fetch, args=(file, web)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert file.target.read_bytes() == CONTENT
    assert len(far.asked) == 1 and not unfinished(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with claim(path) as first:
        assert first is not None
        first.append(b"1")
        with claim(path) as second:
            assert second is None
    with claim(path) as third:
        assert third is not None and third.size == 1


@pytest.mark.skipif(os.name != "posix", reason="flock is POSIX")
def test_a_file_system_without_locks(far: Far, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr("fcntl.flock", no_locks)
    far.put("/file", CONTENT, breaks_after_bytes=[1000])
    file = wanted(far, tmp_path)
    fetch(file, web)
    assert file.target.read_bytes() == CONTENT


def test_someone_elses_file_stays(far: Far, web: Web, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    file = wanted(far, tmp_path, size_bytes=len(CONTENT), may_replace=False)
    file.target.parent.mkdir()
    file.target.write_bytes(b"mine")
    with pytest.raises(Busy):
        fetch(file, web)
    assert file.target.read_bytes() == b"mine"


def test_a_file_of_the_wrong_kind_is_thrown_away(far: Far, web: Web, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        assert path.read_bytes() == CONTENT
        raise BadInput("not that")

    far.put("/file", CONTENT)
    file = wanted(far, tmp_path, check=refuse)
    with pytest.raises(BadInput, match="not that"):
        fetch(file, web)
    assert not file.target.exists() and not unfinished(tmp_path)


def test_a_folder_that_cannot_be_written(far: Far, web: Web, tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("a file stands where the folder should be")
    with pytest.raises(Unavailable, match="cannot be written"):
        fetch(wanted(far, tmp_path), web)


@given(breaks=st.lists(st.integers(0, 6000), max_size=6), ranges=st.booleans(), size=st.integers(1, 9000))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_breaks_the_file_is_right_or_not_there(
    tmp_path_factory: pytest.TempPathFactory, far: Far, web: Web, breaks: list[int], ranges: bool, size: int
) -> None:
    content = CONTENT[:size]
    far.put("/file", content, breaks_after_bytes=list(breaks), knows_ranges=ranges)
    file = wanted(far, tmp_path_factory.mktemp("any"), content)
    try:
        fetch(file, web)
    except Unavailable:
        assert not file.target.exists()
    else:
        assert file.target.read_bytes() == content
