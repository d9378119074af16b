"""The house: one loaded chain in its worker, the picture it makes, and the sessions that hold on to it.

Loading, losing and replacing a worker happen on one loader thread; sessions and their outlets live through all of it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

from scope.catalog import Catalog
from scope.contract import Change, Client, Join, Message
from scope.errors import BadParams, ScopeError, Unavailable
from scope.frame import Frame
from scope.runtime.audience import Audience
from scope.runtime.door import Checked
from scope.runtime.live import LiveValues, kinds_of
from scope.runtime.options import StageRequest, plan
from scope.runtime.params import SESSION
from scope.runtime.queues import FrameQueue
from scope.runtime.session import ClientSession
from scope.runtime.status import Status
from scope.runtime.watch import SILENT_S, RestartBudget
from scope.runtime.worker import Worker
from scope.settings import Settings

NOT_LOADED = "Pipeline not loaded. Please load pipeline first."
MEMORY_HINT = "Memory may have run out: try a smaller picture; see the log."
log = logging.getLogger(__name__)


class House:
    """Implements `contract.Hub`; every method may be called from any thread."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._lock = threading.RLock()
        self._status = Status()
        self.audience = Audience(settings.second_controller)
        self._live = LiveValues({})
        self._worker: Worker | None = None
        self._open = False  # the worker has been told to run
        self._generation = 0  # of loads; an older one on its way gives up
        self._budget = RestartBudget()
        self._worker_stats: Change = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")

    # -- loading ------------------------------------------------------------------------------------------------------

    def load(self, stages: Sequence[StageRequest]) -> None:
        """Begin to load a chain; returns at once. Raises NotFound, Unavailable or BadInput when it cannot be begun."""
        try:
            chain = plan(self._catalog, stages)
        except ScopeError as error:
            with self._lock:
                self._status.refuse(str(error))
            raise
        with self._lock:
            if self._status.state == "loaded" and chain == self._status.chain:
                return
            self._generation += 1
            self._status.begin(chain)
            self._budget = RestartBudget()
            before, self._live = self._live, LiveValues(kinds_of(self._status.chain))
            self._live.note(self._live.door.check(before.flat()), None)
            self._loader.submit(self._start, self._generation, self._retired())

    def unload(self) -> None:
        """End the worker and every session; all its memory comes back."""
        with self._lock:
            self._generation += 1
            self._status.clear()
            self._loader.submit(self._end, self._retired())
        self.audience.dismiss("The pipeline was unloaded.")

    def close(self) -> None:
        """Harmless when repeated."""
        with contextlib.suppress(RuntimeError):  # the loader takes nothing more: it was closed before
            self.unload()
        self._loader.shutdown(wait=True)
        self.audience.outlets.close()

    def status(self) -> Change:
        with self._lock:
            return self._status.as_json()

    def _retired(self) -> Worker | None:
        """The present worker, which from now on is not heard any more: not even its last words, while it is ended."""
        worker, self._worker, self._open, self._worker_stats = self._worker, None, False, {}
        return worker

    def _start(self, generation: int, before: Worker | None) -> None:
        """On the loader thread: end what ran before, then start the worker of this generation, if it is still wanted."""
        self._end(before)
        try:
            with self._lock:
                if generation != self._generation:
                    return
                stages = [stage.as_json() for stage in self._status.chain]
                worker = Worker(self, plugins=self._settings.plugins, in_process=self._settings.in_process)
                self._worker = worker
        except OSError as error:
            with self._lock:
                after = self._fail(f"No worker could be started: {error}")
            after()
            return
        worker.say({"op": "load", "stages": stages})

    def _end(self, worker: Worker | None) -> None:
        if worker is not None:
            worker.close()
            self.audience.outlets.detach()

    # -- what the worker says -----------------------------------------------------------------------------------------

    def on_frame(self, worker: Worker, frame: Frame) -> None:
        if worker is self._worker and self._open:
            self.audience.show(frame)

    def on_message(self, worker: Worker, message: Message) -> None:
        with self._lock:
            if worker is not self._worker:
                return
            after = self._hear(message)
        if after is not None:
            after()

    def _hear(self, message: Message) -> Callable[[], None] | None:
        """Take note; gives what must be done without the lock."""
        match message["op"]:
            case "loading":
                self._status.stage = message["stage"]
            case "loaded":
                self._status.done()
                if len(self.audience.guests):
                    self._open_run()
            case "applied":
                self._confirm(message)
                self.audience.answer(message["tickets"], message["frame"])
            case "dropped":
                self._confirm(message)
                self.audience.regret(message["tickets"])
            case "beat" | "opened":
                return self._hear_it_live(message)
            case "starved":
                return partial(self.audience.starve, self._status.main.name, *self._status.size)
            case "stumbled":
                text = f"A chunk failed and was dropped: {message['text']}"
                return lambda: self.audience.warn(text, "chunk_failed")
            case "load_failed" | "failed":
                return self._fail(message["text"])
        return None

    def _hear_it_live(self, message: Message) -> Callable[[], None] | None:
        """What no frame may say for long: it answers again, or it is back while the picture is paused."""
        if message["op"] == "opened":
            return (lambda: self.audience.recovered("worker_lost")) if self._live.flat().get("paused") else None
        self._worker_stats = message.get("stats", {})
        return (lambda: self.audience.recovered("worker_silent")) if message["busy_s"] < SILENT_S else None

    def _fail(self, text: str) -> Callable[[], None]:
        """It is over, until the next load."""
        self._status.fail(text)
        self._loader.submit(self._end, self._retired())
        return lambda: self.audience.dismiss(text)

    def _confirm(self, message: Message) -> None:
        for ticket in message["tickets"]:
            self._live.confirmed(ticket["session"], ticket["seq"], ticket["keys"])

    def on_silent(self, worker: Worker) -> None:
        if worker is self._worker:
            self.audience.warn("The worker has not answered for a second; the last picture is held.", "worker_silent")

    def on_lost(self, worker: Worker, why: str) -> None:
        """Start again with the same settings, unless it died while loading or keeps dying."""
        with self._lock:
            if worker is not self._worker:
                return
            self._retired()
            self.audience.outlets.detach()
            if (self._status.state == "loaded" or self._status.restarting) and self._budget.allows(monotonic()):
                self._status.restart()
                self._loader.submit(self._start, self._generation, None)
                text = f"The worker {why}; it is being restarted, the last picture is held."
                after: Callable[[], None] = partial(self.audience.warn, text, "worker_lost")
            else:
                after = self._fail(f"The worker {why} and was not restarted. {MEMORY_HINT}")
        log.error("worker %s", why)
        after()

    # -- sessions (contract.Hub and session.Owner) --------------------------------------------------------------------

    def join(self, client: Client, how: Join) -> ClientSession:
        """Open a session. Raises Unavailable when nothing is loaded, Busy when another controller may not be disturbed."""
        with self._lock:
            if not self._status.joinable:
                raise Unavailable(NOT_LOADED)
            session, evicted = self.audience.guests.admit(self, client, how)
            if session.role == "controller":
                self._new_run(session, how.parameters)
            elif not self._open:
                self._open_run()
        if evicted is not None:
            evicted.client.dismiss("Another client took control of this picture.")
        return session

    def outlet(self, capacity: int) -> FrameQueue:
        return self.audience.outlets.add(capacity)

    @property
    def current(self) -> Frame | None:
        return self.audience.outlets.current

    def _new_run(self, session: ClientSession, parameters: Change) -> None:
        self._live = LiveValues(kinds_of(self._status.chain))
        checked = self._live.door.check(parameters)
        self._live.note(checked, None)
        session.complain(checked)
        main = self._status.main
        wanted = self._live.flat().get("input_mode")
        if wanted is not None and wanted not in main.modes:
            session.warn(f"{main.name} has no {wanted} mode; it runs in {main.default_mode} mode.", "mode")
        if self._status.state == "loaded":
            self._open_run()

    def _open_run(self) -> None:
        """Tell the worker to run with all that is known, and what it has not confirmed."""
        if self._worker is None:
            return
        values = {node: dict(change) for node, change in self._live.values.items()}  # it is written by another thread
        self._open = True
        self._worker.say({"op": "open", "mode": values.get(SESSION, {}).get("input_mode"), "values": values})
        for message in self._live.replay():
            self._worker.say(message)

    def turned(self, session: ClientSession, change: Change, node: str | None, seq: int | None) -> Checked:
        with self._lock:
            if node is not None and node not in self._live.door.nodes:
                session.warn(f"There is no node {node[:80]!r} here.", "no_such_node")
                return Checked()
            checked = self._live.door.check(change, node)
            self._pass_in(checked, (session.id, seq) if seq is not None and checked.keys else None)
        if checked.keys:
            self.audience.guests.tell({"type": "parameters_updated", "parameters": checked.merged}, but=session)
        return checked

    def turn_all(self, change: Change, *, node_id: str | None = None) -> Change:
        """A change that came another way (REST, OSC): all of it or nothing, and every client is told. Raises BadParams."""
        with self._lock:
            if node_id is not None and node_id not in self._live.door.nodes:
                raise BadParams(f"there is no node {node_id[:80]!r} here")
            checked = self._live.door.check(change, node_id)
            if checked.refused:
                raise BadParams("; ".join(checked.refused.values()))
            self._pass_in(checked, None)
        if checked.keys:
            self.audience.guests.tell({"type": "parameters_updated", "parameters": checked.merged})
        return checked.merged

    def _pass_in(self, checked: Checked, receipt: tuple[str, int] | None) -> None:
        if checked.keys:
            message = self._live.note(checked, receipt)
            if self._open and self._worker is not None:
                self._worker.say(message)

    def fed(self, session: ClientSession, frame: Frame) -> bool:
        worker = self._worker
        try:
            return worker is not None and self._open and worker.put_frame(frame)
        except Unavailable as error:
            session.warn(str(error), "no_memory")
            return False

    def left(self, session: ClientSession) -> None:
        with self._lock:
            if not self.audience.guests.remove(session) or len(self.audience.guests):
                return
            if self._worker is not None and self._open:
                self._worker.say({"op": "close"})
            self._open = False
        self.audience.forget_picture()

    def values(self) -> Change:
        """The parameters of the running picture; {} when nobody holds on to it."""
        with self._lock:
            return self._live.flat() if len(self.audience.guests) else {}

    def metrics(self) -> Change:
        """Contract 7.3, with the worker's own figures."""
        with self._lock:
            sessions, stats, worker = self.audience.metrics(), dict(self._worker_stats), self._worker
        return {"sessions": sessions, "worker": {**stats, "rss_mb": worker.rss_mb() if worker else None}}
