"""The measurements: how soon there is a picture, how even and how attentive it is live, how fast flat out, what it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from time import monotonic, process_time
from typing import Any

import psutil

from scope import __version__, catalog, offline
from scope.bench.sink import CAMERA_HZ, CODEC, Sink, camera
from scope.contract import Change, Message, Mode
from scope.errors import Unavailable
from scope.offline import Player
from scope.runtime.chain import about, main_spec
from scope.runtime.run import Run

PATIENCE_S = 600.0  # for a first picture: kernels may have to be compiled
WARM_CHUNKS = 6  # not counted: until every window is full
LEAST_CHUNKS, LEAST_TURNS = 4, 4  # however little time there is
MIB = 1 << 20
TEXTS = ("a red boat on a calm lake", "a blue forest in the rain")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to measure. `seconds`: of each of the two long measurements."""

    pipeline: str
    load_params: Change = field(default_factory=dict)
    values: Change = field(default_factory=dict)  # live parameters
    mode: Mode | None = None
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, and under what conditions."""

    setup: dict[str, Any]
    machine: dict[str, Any]
    figures: dict[str, float | None]
    stages_ms: dict[str, float]  # per chunk, each where it runs: denoising and decoding run beside each other

    def as_json(self) -> dict[str, Any]:
        return {"setup": self.setup, "machine": self.machine, "figures": self.figures, "stages_ms": self.stages_ms}


def measure(wish: Wish, begun_s: float, say: Callable[[str], None] = lambda text: None) -> Report:
    """Load, measure, forget. `begun_s`: when the command began. Raises what loading and running raise."""
    player = offline.load(wish.pipeline, progress=say, **wish.load_params)
    loaded_s = monotonic()
    spec = main_spec([link.spec for link in player.links])
    mode = wish.mode or spec.default_mode
    values = ({"prompts": TEXTS[0]} if spec.supports_prompts else {}) | wish.values
    say("First picture...")
    with sitting(player, mode, values) as (sink, _):
        cold_s = sink.wait(1, PATIENCE_S) - begun_s
    say("Live...")
    live = _live(player, mode, values, wish.seconds)
    say("Flat out...")
    fast, stages_ms = _flat_out(player, mode, values, wish.seconds)
    figures = fast | live | {"load_s": loaded_s - begun_s, "first_picture_cold_s": cold_s} | _memory(player)
    setup = {
        "pipeline": wish.pipeline,
        "mode": mode,
        "options": dict(player.options[0]),
        "values": values,
        "seconds": wish.seconds,
        "codec": CODEC,
        "notice": player.notice or None,
    }
    return Report(setup, _machine(), figures, stages_ms)


def _memory(player: Player) -> dict[str, float | None]:
    device = catalog.resolve("scope.models.device:peak_bytes")()
    planned = about(player.links).get("planned_memory_gib")
    process = psutil.Process().memory_info()
    return {
        "peak_device_mib": None if device is None else device / MIB,
        "planned_mib": planned["total"] * 1024 if planned else None,
        "resident_mib": getattr(process, "peak_wset", process.rss) / MIB,
    }


def _machine() -> dict[str, Any]:
    load = psutil.getloadavg()[0]  # of the last minute: above the number of cores, others were running
    return {
        "scope": __version__,
        "cores": psutil.cpu_count(),
        "load": round(load, 1),
        **catalog.resolve("scope.models.device:describe")(),
    }


@contextmanager
def sitting(player: Player, mode: Mode, values: Change) -> Iterator[tuple[Sink, Run]]:
    """A live session without a network: chunk loop, output clock, encoder, and a camera in video mode."""
    ended = threading.Event()
    with Sink() as sink:

        def hear(message: Message) -> None:
            if message["op"] in ("failed", "stumbled"):
                sink.fail(Unavailable(message["text"]))

        run = Run(player.links, mode, player.checked(values), hear, sink.put)
        filming = threading.Thread(target=_film, args=(run, player, ended), name="bench-camera", daemon=True)
        if mode == "video":
            filming.start()
        try:
            yield sink, run
        finally:
            ended.set()
            run.stop()


def _film(run: Run, player: Player, ended: threading.Event) -> None:
    for frame in camera(*_size(player)):
        if ended.wait(1 / CAMERA_HZ):
            return
        run.put_frame(frame)


def _size(player: Player) -> tuple[int, int]:
    options = player.options[0]
    return int(options.get("height", 512)), int(options.get("width", 512))


def _live(player: Player, mode: Mode, values: Change, seconds: float) -> dict[str, float | None]:
    begun_s = monotonic()
    with sitting(player, mode, values) as (sink, run):
        warm_s = sink.wait(1, PATIENCE_S) - begun_s
        _watch(run, sink, WARM_CHUNKS)
        first = len(sink.left_s)
        _watch(run, sink, LEAST_CHUNKS, seconds)
        gaps_ms = sorted((b - a) * 1000 for a, b in pairwise(sink.left_s[first:]))
        control_ms = _control(player, run, sink, seconds)
        chunk_ms = run.chunk_s * 1000
    return {
        "first_picture_warm_s": warm_s,
        "live_fps": 1000 / (sum(gaps_ms) / len(gaps_ms)),
        "interval_p50_ms": median(gaps_ms),
        "interval_p99_ms": gaps_ms[min(len(gaps_ms) - 1, int(0.99 * len(gaps_ms)))],
        "control_p50_ms": median(control_ms) if control_ms else None,
        "control_worst_ms": max(control_ms, default=None),
        "chunk_ms": chunk_ms,
    }


def _watch(run: Run, sink: Sink, chunks: int, seconds: float = 0.0) -> None:
    """See so many more chunks, and for so long: picture by picture, so that a failure is heard."""
    goal, until_s = run.chunks + chunks, monotonic() + seconds
    while run.chunks < goal or monotonic() < until_s:
        sink.wait(len(sink.left_s) + 1, PATIENCE_S)


def _control(player: Player, run: Run, sink: Sink, seconds: float) -> list[float]:
    """From saying something to the first encoded picture made for it, at every phase of a chunk."""
    kinds = {link.node_id: link.spec for link in player.links}
    node = next((name for name, spec in kinds.items() if spec.supports_prompts), None)
    if node is None:
        return []
    took_ms: list[float] = []
    until_s = monotonic() + seconds
    while monotonic() < until_s or len(took_ms) < LEAST_TURNS:
        seq = len(took_ms) + 1
        threading.Event().wait(0.37 * seq % 1.0 * run.chunk_s)
        said_s = monotonic()
        run.turn(player.checked({"prompts": TEXTS[seq % 2]}), ("bench", seq))
        took_ms.append((sink.answer(seq, PATIENCE_S) - said_s) * 1000)
    return took_ms


def _flat_out(player: Player, mode: Mode, values: Change, seconds: float) -> tuple[dict[str, float | None], dict[str, float]]:
    """Pictures a second when nobody waits for their turn: the last one of each chunk, out of the encoder."""
    stream = player.open(mode == "video")
    source = camera(*_size(player)) if mode == "video" else None
    ends: list[int] = []  # pictures so far, at the end of each chunk
    with Sink() as sink:
        made, begun_s, spent_s = 0, float("inf"), 0.0
        for chunk in player.chunks(stream, source, **values):
            made += _feed(sink, chunk)
            ends.append(made)
            if len(ends) == WARM_CHUNKS:
                begun_s, spent_s = monotonic(), process_time()
            if len(ends) >= WARM_CHUNKS + LEAST_CHUNKS and monotonic() - begun_s > seconds:
                break
        took_s = sink.wait(made, PATIENCE_S) - sink.left_s[ends[WARM_CHUNKS - 1] - 1]
        spent_s, counted = process_time() - spent_s, made - ends[WARM_CHUNKS - 1]
        per_chunk = counted / (len(ends) - WARM_CHUNKS)
        stages = stream.timings()
        encode_ms = median(sink.encode_ms) * per_chunk
    found = dict(next(iter(stages.values()), {})) | {"encode": encode_ms}  # a chain of one
    figures: dict[str, float | None] = {
        "fps": counted / took_s,
        "frames_per_chunk": per_chunk,
        "processor_ms": spent_s * 1000 / counted,
    }
    return figures, found


def _feed(sink: Sink, chunk: Sequence[Any]) -> int:
    for frame in chunk:
        sink.put(frame)
    return len(chunk)
