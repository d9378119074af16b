"""Downloads as jobs: any number at once, each with what it has, how fast it goes and what became of it."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scope.errors import Busy, NotFound, ScopeError, Unavailable
from scope.store.fetch import Web
from scope.store.pace import Pace, left_s, readable
from scope.store.transfer import Cancelled, Patience, Stop, Transfer, Wanted

log = logging.getLogger(__name__)
State = Literal["planning", "running", "done", "failed", "cancelled"]
FILES_AT_ONCE = 3
SPARED_BYTES = 256 << 20  # what is left free on the disk
CLOSE_LIMIT_S = 2.0
REMEMBERED = 200
Plan = Callable[[], Sequence[Wanted]]


@dataclass(frozen=True, slots=True)
class Progress:
    name: str
    state: State
    bytes_done: int
    bytes_total: int
    bytes_per_s: float
    left_s: float | None
    current: str | None  # what is being fetched now
    error: str | None

    @property
    def running(self) -> bool:
        return self.state in ("planning", "running")

    @property
    def percentage(self) -> float:
        if self.state == "done":
            return 100.0
        return min(100.0, 100.0 * self.bytes_done / self.bytes_total) if self.bytes_total else 0.0


def free_bytes(folder: Path) -> int:
    """Free space where a folder is or would be."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


class Job:
    """Some files that are wanted together. `future` ends when it does, with its error if there was one."""

    def __init__(
        self, name: str, plan: Plan, web: Web, patience: Patience, room: Callable[[Path], int], then: Callable[[], None] | None
    ) -> None:
        self.name = name
        self.future: Future[None] = Future()
        self._plan, self._then, self._web, self._patience, self._room = plan, then, web, patience, room
        self._stop = Stop()
        self._pace = Pace(time.monotonic())
        self._lock = threading.Lock()
        self._transfers: Sequence[Transfer] = ()
        self._state: State = "planning"
        self._error: str | None = None

    def begin(self) -> None:
        threading.Thread(target=self._run, name=f"download {self.name}", daemon=True).start()

    def cancel(self) -> None:
        """Ends it soon; what has come so far is kept."""
        self._stop.ask()

    @property
    def over(self) -> bool:
        return self.future.done()

    @property
    def leaving(self) -> bool:
        """Over, or about to be: another may begin, and takes up the files when they are free."""
        return self.over or self._stop.asked

    @property
    def rest_bytes(self) -> int:
        return 0 if self.over else sum(transfer.rest_bytes for transfer in self._transfers)

    def progress(self) -> Progress:
        transfers, rest = self._transfers, self.rest_bytes
        with self._lock:
            speed = self._pace.bytes_per_s(time.monotonic()) if self._state == "running" else 0.0
        done = sum(transfer.done_bytes for transfer in transfers)
        total = sum(max(transfer.total_bytes or 0, transfer.done_bytes) for transfer in transfers)
        current = next((t.wanted.label for t in transfers if not t.finished), None) if self._state == "running" else None
        return Progress(self.name, self._state, done, total, speed, left_s(rest, speed), current, self._error)

    # -- in its own thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except Cancelled as error:
            self._end("cancelled", error)
        except ScopeError as error:
            self._end("failed", error)
        except Exception:  # the top of a thread; told to whoever asks for the progress
            log.exception("download of %s", self.name)
            self._end("failed", Unavailable("The download failed for a reason that was not foreseen; the log has it."))
        else:
            self._end("done", None)

    def _end(self, state: State, error: ScopeError | None) -> None:
        self._state, self._error = state, str(error) if error and state == "failed" else None
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)

    def _work(self) -> None:
        wanted = self._plan()
        self._stop.check()
        transfers = [Transfer(file, self._web, self._patience, self._note) for file in wanted]
        self._check_room(transfers)
        self._transfers, self._state = transfers, "running"
        waiting = deque(transfers)
        failures: list[ScopeError] = []
        threads = [
            threading.Thread(target=self._drain, args=(waiting, failures), name=f"download {self.name}", daemon=True)
            for _ in range(min(FILES_AT_ONCE, len(transfers)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if self._then is not None:
            self._then()

    def _drain(self, waiting: deque[Transfer], failures: list[ScopeError]) -> None:
        while waiting and not failures:
            try:
                waiting.popleft().run(self._stop)
            except IndexError:
                return
            except ScopeError as error:
                failures.append(error)
                self._stop.ask()  # what the others have so far is kept
            except Exception:  # the top of a thread; told to whoever asks for the progress
                log.exception("download of %s", self.name)
                failures.append(Unavailable("The download failed for a reason that was not foreseen; the log has it."))
                self._stop.ask()

    def _note(self, size_bytes: int) -> None:
        with self._lock:
            self._pace.note(size_bytes, time.monotonic())

    def _check_room(self, transfers: Sequence[Transfer]) -> None:
        if not transfers:
            return
        folder = transfers[0].wanted.target.parent
        needed, free = sum(transfer.rest_bytes for transfer in transfers), self._room(folder)
        if needed + SPARED_BYTES > free:
            there = readable(max(0, free))
            raise Unavailable(
                f"{readable(needed)} are to be fetched, and the disk of {folder} has {there} free; make room first."
            )


@dataclass
class Downloads:
    """All jobs by name; the last one of a name is remembered until the next."""

    web: Web
    patience: Patience = field(default_factory=Patience)
    free_bytes: Callable[[Path], int] = free_bytes
    _jobs: dict[str, Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, name: str, plan: Plan, web: Web | None = None, then: Callable[[], None] | None = None) -> Job:
        """`plan` and, when everything is here, `then` run in the job's thread. Raises Busy while a job of that name runs."""
        with self._lock:
            if (old := self._jobs.get(name)) is not None and not old.leaving:
                raise Busy(f"{name} is being downloaded already.")
            if len(self._jobs) > REMEMBERED:
                self._jobs = {known: job for known, job in self._jobs.items() if not job.over}
            job = self._jobs[name] = Job(name, plan, web or self.web, self.patience, self._room, then)
        job.begin()
        return job

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def all(self) -> Mapping[str, Job]:
        with self._lock:
            return dict(self._jobs)

    def cancel(self, name: str) -> None:
        """Raises NotFound when nothing of that name is being downloaded."""
        job = self._jobs.get(name)
        if job is None or job.over:
            raise NotFound(f"Nothing called {name[:80]!r} is being downloaded.")
        job.cancel()

    def close(self) -> None:
        """End all of them, and wait a moment for their files to be closed."""
        running = [job for job in self.all().values() if not job.over]
        for job in running:
            job.cancel()
        until_s = time.monotonic() + CLOSE_LIMIT_S
        while any(not job.over for job in running) and time.monotonic() < until_s:
            time.sleep(0.01)

    def _room(self, folder: Path) -> int:
        """What is free and not promised to the jobs that run."""
        return self.free_bytes(folder) - sum(job.rest_bytes for job in self.all().values())
