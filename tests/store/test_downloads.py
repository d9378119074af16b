"""Jobs: several at once, how they go, how they end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.errors import Busy, NotFound, ScopeError, Unavailable
from scope.published import UNFINISHED
from scope.store.downloads import SPARED_BYTES, Downloads, Job, free_bytes
from scope.store.pace import Pace, left_s, readable
from scope.store.transfer import Cancelled, Wanted
from tests.store.far import Far, sha256

CONTENT = random.Random(2).randbytes(200_000)


def plan(far: Far, folder: Path, *names: str) -> Callable[[], list[Wanted]]:
    return lambda: [
        Wanted(f"{far.address}/{name}", folder / name, name, len(far.files[f"/{name}"].content), sha256(CONTENT))
        for name in names
    ]


def ended(job: Job) -> ScopeError | None:
    error = job.future.exception(timeout=10)
    assert error is None or isinstance(error, ScopeError)
    return error


def wait_for(what: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def test_a_job_brings_its_files(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    for name in "abcdef":
        far.put(f"/{name}", CONTENT)
    job = downloads.start("model", plan(far, tmp_path, *"abcdef"))
    assert ended(job) is None
    found = job.progress()
    assert (found.state, found.percentage, found.error, found.current) == ("done", 100.0, None, None)
    assert (found.bytes_done, found.bytes_total) == (6 * len(CONTENT), 6 * len(CONTENT))
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcdef")


def test_progress_says_how_fast_and_how_long(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    far.put("/a", CONTENT, bytes_per_s=200_000)
    job = downloads.start("model", plan(far, tmp_path, "a"))
    seen = []
    while not job.over:
        seen.append(job.progress())
        time.sleep(0.05)
    assert ended(job) is None
    middle = [found for found in seen if 0.3 < found.percentage / 100 < 0.9]
    assert middle and all(found.running and found.current == "a" for found in middle)
    assert all(100_000 < found.bytes_per_s < 400_000 for found in middle)
    assert all(found.left_s is not None and found.left_s < 2 for found in middle)
    done = [found.bytes_done for found in seen]
    assert done == sorted(done)


def test_several_at_once(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    gate = threading.Event()
    for name in "abc":
        far.put(f"/{name}", CONTENT, gate=gate)
    jobs = [downloads.start(name, plan(far, tmp_path, name)) for name in "abc"]
    wait_for(lambda: len(far.asked) == 3)
    with pytest.raises(Busy, match="already"):
        downloads.start("a", plan(far, tmp_path, "a"))
    gate.set()
    assert [ended(job) for job in jobs] == [None] * 3


def test_two_jobs_that_share_a_file(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    far.put("/shared", CONTENT, bytes_per_s=500_000)
    for name in "ab":
        far.put(f"/{name}", CONTENT)
    jobs = [downloads.start(name, plan(far, tmp_path, "shared", name)) for name in "ab"]
    assert [ended(job) for job in jobs] == [None, None]
    assert len(far.requests("/shared")) == 1
    assert [job.progress().percentage for job in jobs] == [100.0, 100.0]


def test_cancel_and_go_on(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    slow = far.put("/a", CONTENT, bytes_per_s=100_000)
    job = downloads.start("model", plan(far, tmp_path, "a"))
    wait_for(lambda: job.progress().bytes_done > 20_000)
    downloads.cancel("model")
    assert isinstance(ended(job), Cancelled)
    found = job.progress()
    assert (found.state, found.error) == ("cancelled", None)
    assert not (tmp_path / "a").exists()
    slow.bytes_per_s = 0
    again = downloads.start("model", plan(far, tmp_path, "a"))
    assert ended(again) is None
    assert (far.asked[-1].first_byte or 0) >= 20_000
    with pytest.raises(NotFound):
        downloads.cancel("model")
    with pytest.raises(NotFound):
        downloads.cancel("never")


def test_one_failure_ends_the_job_and_keeps_what_came(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    far.put("/good", CONTENT)
    far.put("/bad", CONTENT, statuses=[403])
    job = downloads.start("model", plan(far, tmp_path, "good", "bad"))
    assert ended(job) is not None
    found = job.progress()
    assert found.state == "failed" and "bad" not in (found.current or "") and found.error
    assert job.rest_bytes == 0
    assert ended(downloads.start("model", plan(far, tmp_path, "good", "bad"))) is None


def test_a_mistake_of_ours_is_told_and_logged(downloads: Downloads, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[Wanted]:
        raise ZeroDivisionError

    job = downloads.start("model", broken)
    assert isinstance(ended(job), Unavailable)
    assert "log" in (job.progress().error or "") and "ZeroDivisionError" in caplog.text


def test_a_full_disk_is_seen_before_anything_is_asked(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    far.put("/a", CONTENT)
    downloads.free_bytes = lambda _folder: SPARED_BYTES + len(CONTENT) - 1
    job = downloads.start("model", plan(far, tmp_path, "a"))
    assert "make room" in str(ended(job)) and not far.asked
    downloads.free_bytes = lambda _folder: SPARED_BYTES + len(CONTENT)
    assert ended(downloads.start("model", plan(far, tmp_path, "a"))) is None


def test_what_is_promised_to_one_is_not_free_for_another(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    gate = threading.Event()
    far.put("/a", CONTENT, gate=gate)
    far.put("/b", CONTENT)
    downloads.free_bytes = lambda _folder: SPARED_BYTES + len(CONTENT) + 1000
    first = downloads.start("one", plan(far, tmp_path, "a"))
    wait_for(lambda: bool(far.asked))
    assert "make room" in str(ended(downloads.start("two", plan(far, tmp_path, "b"))))
    gate.set()
    assert ended(first) is None


def test_a_disk_that_fills_up_on_the_way(far: Far, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    far.put("/a", CONTENT)
    monkeypatch.setattr("scope.store.partial.Partial.append", full)
    assert "is full" in str(ended(downloads.start("model", plan(far, tmp_path, "a"))))


def test_closing_ends_them(far: Far, downloads: Downloads, tmp_path: Path) -> None:
    far.put("/a", CONTENT, bytes_per_s=10_000)
    job = downloads.start("model", plan(far, tmp_path, "a"))
    wait_for(lambda: job.progress().bytes_done > 0)
    began_s = time.monotonic()
    downloads.close()
    assert job.over and time.monotonic() - began_s < 2
    assert [path.suffix for path in tmp_path.iterdir()] == [UNFINISHED]


def test_free_space_of_a_folder_to_be() -> None:
    assert free_bytes(Path("/no/such/folder")) == free_bytes(Path("/"))


# -- pace -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.01, 2), st.integers(0, 1 << 30)), min_size=1, max_size=40))
def test_the_pace_lies_between_slowest_and_fastest(steps: list[tuple[float, int]]) -> None:
    pace, now_s = Pace(0.0), 0.0
    for passed_s, size in steps:
        now_s += passed_s
        pace.note(size, now_s)
    assert 0 <= pace.bytes_per_s(now_s) <= sum(size for _, size in steps) / 0.01 + 1
    assert pace.bytes_per_s(now_s + 100) == 0


def test_an_even_pace() -> None:
    pace = Pace(0.0)
    for second in range(1, 21):
        pace.note(1000, float(second))
    assert 900 <= pace.bytes_per_s(20.0) <= 1200
    assert left_s(5000, 1000.0) == 5 and left_s(5000, 0.0) is None


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (5_676_000_000, "5.7 GB")]
)
def test_sizes_to_read(size: int, text: str) -> None:
    assert readable(size) == text
