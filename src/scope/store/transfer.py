"""One file on its way: begun, broken off, taken up again where it broke, checked, and only then given its name."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from scope.errors import BadInput, Busy, ScopeError, Unavailable
from scope.store.fetch import Reply, TryAgain, Web
from scope.store.partial import Partial, beside, claim

BLOCK_BYTES = 256 << 10
WORTH_BYTES = 1 << 20  # an attempt that brought this much was no failure
NEIGHBOUR_LOOK_S = 0.25
Answer = TypeVar("Answer")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Cancelled(ScopeError):
    """Someone does not want it any more."""

    def __init__(self) -> None:
        super().__init__("The download was cancelled.")


class Stop:
    """The way to end transfers early, also those that wait for a server."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._open: set[Reply] = set()
        self._lock = threading.Lock()

    def ask(self) -> None:
        self._asked.set()
        with self._lock:
            for reply in self._open:
                reply.abort()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def check(self) -> None:
        """Raises Cancelled."""
        if self._asked.is_set():
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Raises Cancelled, at once when asked to."""
        self._asked.wait(seconds)
        self.check()

    @contextmanager
    def watching(self, reply: Reply) -> Iterator[Reply]:
        with self._lock:
            self._open.add(reply)
        try:
            self.check()
            yield reply
        finally:
            with self._lock:
                self._open.discard(reply)
            reply.close()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something that brings nothing is tried again."""

    tries: int = 6
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0

    def pause_s(self, failures: int) -> float:
        """Doubling, with a little chance in it so that many do not knock together."""
        return float(min(self.longest_pause_s, self.first_pause_s * 2 ** (failures - 1)) * random.uniform(0.8, 1.2))


def patiently(ask: Callable[[], Answer], patience: Patience, stop: Stop) -> Answer:
    """What `ask` returns, asked again while it raises TryAgain. Raises Cancelled, Unavailable, and as `ask` does."""
    for failures in count(1):
        stop.check()
        try:
            return ask()
        except TryAgain as error:
            if failures >= patience.tries:
                raise Unavailable(str(error)) from error
            stop.pause(max(patience.pause_s(failures), error.after_s))
    raise AssertionError


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch, and what is known of it."""

    url: str
    target: Path
    label: str  # what to call it before people
    size_bytes: int | None = None
    sha256: str | None = None
    identity: str | None = None  # what the server calls this version of it; None: cannot be taken up again later
    check: Callable[[Path], None] | None = None  # raises BadInput for a file of the wrong kind
    limit_bytes: int | None = None
    may_replace: bool = True  # False: a file that is already there is someone else's


@dataclass
class Transfer:
    wanted: Wanted
    web: Web
    patience: Patience = field(default_factory=Patience)
    note: Callable[[int], None] = lambda _bytes: None  # told how many bytes came
    done_bytes: int = 0
    finished: bool = False

    def __post_init__(self) -> None:
        self.total_bytes = self.wanted.size_bytes
        known = self.wanted.sha256 or self.wanted.identity
        self._resumable = known is not None
        self._identity = self.wanted.identity
        self._path = beside(self.wanted.target, known or self.wanted.url)
        if not self._there() and self._resumable and self._path.is_file():
            self.done_bytes = self._path.stat().st_size

    @property
    def rest_bytes(self) -> int:
        return 0 if self.finished else max(0, (self.total_bytes or 0) - self.done_bytes)

    def run(self, stop: Stop) -> None:
        """Raises Cancelled, BadInput, Denied, NotFound, Unavailable. What came stays on the disk for the next time."""
        try:
            self.wanted.target.parent.mkdir(parents=True, exist_ok=True)
            while not self._there():
                if not self._once(stop):
                    stop.pause(NEIGHBOUR_LOOK_S)
        except OSError as error:
            folder = self.wanted.target.parent
            if error.errno in FULL:
                raise Unavailable(f"The disk of {folder} is full; what has come so far is kept.") from error
            raise Unavailable(f"{folder} cannot be written: {error.strerror or error}.") from error
        self.finished = True
        self.done_bytes = self.total_bytes = self.total_bytes or self.done_bytes

    def _there(self) -> bool:
        """Whether it is here, from before or because a neighbour fetched it meanwhile."""
        try:
            size = self.wanted.target.stat().st_size
        except OSError:
            return False
        known = self.wanted.size_bytes
        if size > 0 and known in (None, size):
            self.finished, self.done_bytes, self.total_bytes = True, size, size
            return True
        return False

    def _once(self, stop: Stop) -> bool:
        """False when another holds the file."""
        stop.check()
        with claim(self._path) as partial:
            if partial is None:
                self.done_bytes = self._path.stat().st_size if self._path.exists() else self.done_bytes
                return False
            if self._there():
                partial.discard()
                return True
            if not self._resumable:
                partial.restart()
            self._fill(partial, stop)
            if not self._is_right(partial):
                partial.restart()  # perhaps what lay here was not what it seemed: once more from its beginning
                self._fill(partial, stop)
                if not self._is_right(partial):
                    partial.discard()
                    raise Unavailable(
                        f"{self.wanted.label} does not have the SHA-256 that was announced; nothing of it was kept."
                    )
            self._settle(partial)
            return True

    def _is_right(self, partial: Partial) -> bool:
        return self.wanted.sha256 is None or partial.sha256() == self.wanted.sha256.lower()

    def _settle(self, partial: Partial) -> None:
        partial.flush()
        try:
            if self.wanted.check is not None:
                self.wanted.check(partial.path)
            if not self.wanted.may_replace and self.wanted.target.exists():
                raise Busy(f"{self.wanted.target.name} is already there.")
        except ScopeError:
            partial.discard()
            raise
        self.done_bytes = partial.size
        partial.become(self.wanted.target)

    # -- the bytes ----------------------------------------------------------------------------------------------------

    def _fill(self, partial: Partial, stop: Stop) -> None:
        failures, most = 0, partial.size
        self.done_bytes = partial.size
        while True:
            try:
                return self._attempt(partial, stop)
            except TryAgain as error:
                stop.check()
                worth = min(WORTH_BYTES, max(1, self.rest_bytes // 100))
                failures = 1 if partial.size - most >= worth else failures + 1
                most = max(most, partial.size)
                if failures >= self.patience.tries:
                    raise Unavailable(f"{error} What has come so far is kept; try again later.") from error
                stop.pause(max(self.patience.pause_s(failures), error.after_s))

    def _attempt(self, partial: Partial, stop: Stop) -> None:
        """Raises TryAgain when there is more to come."""
        if partial.size and partial.size == self.wanted.size_bytes:
            return
        if self.wanted.sha256 is not None:
            partial.catch_up()
        with stop.watching(self.web.get(self.wanted.url, partial.size)) as reply:
            self._begin(reply, partial)
            while piece := reply.read(BLOCK_BYTES):
                stop.check()
                self._keep(piece, partial, reply)
        stop.check()
        if partial.size < (self.total_bytes or 1):
            raise TryAgain(f"The connection to {reply.at.host} broke.")

    def _keep(self, piece: bytes, partial: Partial, reply: Reply) -> None:
        limit = self.wanted.limit_bytes if self.total_bytes is None else self.total_bytes
        if limit is not None and partial.size + len(piece) > limit:
            partial.discard()
            raise Unavailable(f"{reply.at.host} sends more than the {limit:,} bytes of {self.wanted.label}.")
        partial.append(piece)
        self.done_bytes = partial.size
        self.note(len(piece))

    def _begin(self, reply: Reply, partial: Partial) -> None:
        """Make what lies here and what the server is about to send fit together."""
        host, told = reply.at.host, reply.file_bytes
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable(f"{host} sends {self.wanted.label} in a form that was not asked for.")
        if reply.status == 416:
            if told is not None and told == partial.size:
                self.total_bytes = told
                return
            partial.restart()
            raise TryAgain(f"{host} has less of {self.wanted.label} than is here.")
        if partial.size and (reply.start_byte != partial.size or self._is_another(reply)):
            partial.restart()
            self.done_bytes = 0
            if reply.start_byte:
                raise TryAgain(f"{host} sends another part of {self.wanted.label} than was asked for.")
        if partial.size == 0:
            self._identity = reply.identity
        if told is None:
            return
        if self.wanted.size_bytes not in (None, told):
            raise Unavailable(f"{host} offers {told:,} bytes for {self.wanted.label}; {self.wanted.size_bytes:,} were announced.")
        if self.wanted.limit_bytes is not None and told > self.wanted.limit_bytes:
            raise BadInput(f"{self.wanted.label} has {told:,} bytes; at most {self.wanted.limit_bytes:,} are fetched.")
        self.total_bytes = told

    def _is_another(self, reply: Reply) -> bool:
        """Whether the server speaks of another version than the one begun."""
        return None not in (self._identity, reply.identity) and self._identity != reply.identity
