"""End to end through a real WebRTC client on loopback: `python -m bench.stream [--json FILE] [--seconds S] [--runs N]`.

The client sends a numbered picture (or asks for `test-pattern`) and reads the number back out of what it decodes. Measured
on the same kind of machine, end to end, p50 / p99: Daydream Scope 0.2.4 223 / 264 ms; a bare aiortc echo with marker release
19 / 41 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median, pstdev
from time import monotonic

from bench.processes import CostMeter, resident_mib
from bench.table import Figures, medians, percentile, record, show
from tests.live_server import LiveServer
from tests.rtc_client import RtcClient, Wish
from tests.visitor import Visitor

RATE_HZ = 30.0
SIZES = ((512, 512), (576, 320))
WARM_S, TURNS, RECONNECTS = 2.0, 16, 60
GOALS = {
    "latency_p50_ms": 45.0,
    "latency_p99_ms": 90.0,
    "fps_out": 30.0,
    "cpu_percent": 45.0,
    "first_frame_ms": 200.0,
    "control_p50_ms": 100.0,
    "health_s": 2.0,
    "idle_mib": 150.0,
    "busy_mib": 600.0,
    "growth_mib": 20.0,
    "release_s": 10.0,
}


async def stream(server: LiveServer, pipeline: str, size: tuple[int, int], codec: str, seconds: float) -> Figures:
    """One session: how soon, how fast, how late, how dear."""
    camera = (*size, RATE_HZ) if pipeline == "passthrough" else None
    async with Visitor(server) as visitor:
        client = await visitor.connect(Wish(camera=camera, codecs=(codec,)))
        first = await client.frame(lambda sighting: sighting.number is not None)
        await asyncio.sleep(WARM_S)
        cost, began_s = CostMeter(server.pid), monotonic()
        await asyncio.sleep(seconds)
        ended_s, spent = monotonic(), cost.read()
        control = await control_ms(client, "brightness" if camera else "level")
    return {
        "first_frame_ms": (first.time_s - client.offered_s) * 1000,
        **flow(client, began_s, ended_s),
        "control_p50_ms": median(control),
        "cpu_percent": spent.cpu,
        "server_cpu": spent.server_cpu,
        "worker_cpu": spent.worker_cpu,
        "busy_mib": spent.mib,
    }


def flow(client: RtcClient, began_s: float, ended_s: float) -> Figures:
    """Rates, latencies and jitter between two moments. A number's latency is that of its first sighting."""
    seen: dict[int, float] = {}
    for sighting in client.sightings:
        if sighting.number is not None and began_s <= sighting.time_s < ended_s:
            seen.setdefault(sighting.number, sighting.time_s)
    times = sorted(seen.values())
    gaps = [(b - a) * 1000 for a, b in zip(times, times[1:], strict=False)]
    found: dict[str, float | None] = {"fps_out": len(seen) / (ended_s - began_s), "jitter_ms": pstdev(gaps) if gaps else None}
    lost = max(seen) - min(seen) + 1 - len(seen)
    if client.camera is not None:
        sent_s = client.camera.sent_s
        ages = [(at_s - sent_s[number]) * 1000 for number, at_s in seen.items() if number in sent_s]
        found |= {f"latency_p{share}_ms": percentile(ages, share / 100) for share in (50, 95, 99)}
        found["fps_in"] = sum(began_s <= at_s < ended_s for at_s in sent_s.values()) / (ended_s - began_s)
    return found | {"lost": float(lost)}


async def control_ms(client: RtcClient, knob: str) -> list[float]:
    """From sending a message to the first picture that shows it, once per turn."""
    times = []
    for turn in range(TURNS):
        await asyncio.sleep(0.1 + 0.007 * turn)  # at every phase of a frame
        times.append(await one_turn_ms(client, knob, 0.2 + 0.5 * (turn % 2)))
    return times


async def one_turn_ms(client: RtcClient, knob: str, value: float) -> float:
    def shade() -> float:
        return float(client.luma()[-40:-20].mean())

    before, began_s = shade(), monotonic()
    await client.send({knob: value})
    if knob == "level":
        await client.frame(lambda sighting: sighting.time_s > began_s and sighting.level == round(value * 255))
    else:
        await client.wait(lambda: abs(shade() - before) > 8, 5)
    return (monotonic() - began_s) * 1000


async def comings_and_goings(server: LiveServer) -> Figures:
    """Memory over many visits, and how soon one who vanished is let go."""
    wish = Wish(camera=(512, 512, RATE_HZ))
    before = 0.0
    async with Visitor(server) as visitor:
        for visit in range(1 + RECONNECTS):
            client = await visitor.connect(wish)
            await client.first_frame()
            await visitor.leave(client)
            if visit == 0:
                await asyncio.sleep(1)
                before = resident_mib(server.pid)
        await asyncio.sleep(1)
        growth = resident_mib(server.pid) - before
        ghost = await visitor.connect(wish)
        await ghost.first_frame()
        await ghost.vanish()
        gone_s = monotonic()
        while await visitor.sessions():
            await asyncio.sleep(0.1)
        release_s = monotonic() - gone_s
    return {"growth_mib": growth, "release_s": release_s}


def run(seconds: float, codec: str) -> dict[str, Figures]:
    """All of it once, on a fresh server."""
    with tempfile.TemporaryDirectory() as home, LiveServer(Path(home)) as server:
        asyncio.run(asyncio.sleep(2))  # let it warm the WebRTC edge, as it does after every start
        rows: dict[str, Figures] = {"server": {"health_s": server.start_s, "idle_mib": resident_mib(server.pid)}}
        for pipeline in ("passthrough", "test-pattern"):
            for size in SIZES:
                server.load(pipeline, width=size[0], height=size[1])
                rows[f"{pipeline} {size[0]}x{size[1]}"] = asyncio.run(stream(server, pipeline, size, codec, seconds))
        server.load("passthrough")
        rows["visits"] = asyncio.run(comings_and_goings(server))
    return rows


def merged(runs: Sequence[dict[str, Figures]]) -> dict[str, dict[str, float | None]]:
    return {name: medians([each[name] for each in runs]) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each measurement")
    parser.add_argument("--runs", type=int, default=3, help="the medians of so many runs are reported")
    parser.add_argument("--codec", default="H264", choices=("H264", "VP8"))
    given = parser.parse_args()
    runs = []
    for number in range(given.runs):
        runs.append(run(given.seconds, given.codec))
        print(f"run {number + 1} of {given.runs} done")
    rows = merged(runs)
    for title, names in (("stream", [name for name in rows if "x" in name]), ("server", ["server"]), ("visits", ["visits"])):
        show(title, {name: rows[name] for name in names})
    show("goals", {"at most (fps_out: at least)": GOALS})
    if given.json:
        record(given.json, {"codec": given.codec, "runs": given.runs, "seconds": given.seconds, "medians": rows, "goals": GOALS})


if __name__ == "__main__":
    main()
