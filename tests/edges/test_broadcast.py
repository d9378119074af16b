"""One encoder and its viewers: laggards, keyframes, repeats, failures, and the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise
from time import monotonic

import pytest

from scope.edges import broadcast
from scope.edges.broadcast import Broadcast, Viewer
from scope.edges.encoder import Encoded
from tests.edges.live_hub import LiveHub


@pytest.fixture
def quick() -> Iterator[LiveHub]:
    hub = LiveHub(64, 64)
    yield hub
    hub.close()


def encoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("encoder")]


def ignore(reason: str) -> None:
    raise AssertionError(reason)


async def take(viewer: Viewer, count: int) -> list[Encoded]:
    found = []
    for _ in range(count):
        encoded = await asyncio.wait_for(viewer.next(), 2)
        assert encoded is not None
        found.append(encoded)
    return found


async def test_an_encoder_lives_from_its_first_viewer_to_its_last(quick: LiveHub) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    first, second = cast.watch("VP8", ignore), cast.watch("VP8", ignore)
    other = cast.watch("H264", ignore)
    await take(second, 3)
    assert sorted(encoders()) == ["encoder-H264", "encoder-VP8"]
    for viewer in (other, first, first):
        cast.leave(viewer)
    assert encoders() == ["encoder-VP8"]
    cast.leave(second)
    assert encoders() == [] and all(queue.closed for queue in quick.queues) and await second.next() is None


async def test_time_never_runs_backwards_and_follows_the_clock(quick: LiveHub) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    viewer = cast.watch("H264", ignore)
    await take(viewer, 1)
    began_s = monotonic()
    stamps = [each.timestamp for each in await take(viewer, 30)]
    elapsed_s = monotonic() - began_s
    cast.leave(viewer)
    assert all(b > a for a, b in pairwise(stamps))
    assert (stamps[-1] - stamps[0]) / 90_000 == pytest.approx(elapsed_s, abs=0.1)


async def test_a_laggard_loses_pictures_and_goes_on_with_a_keyframe(quick: LiveHub) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    prompt, laggard = cast.watch("H264", ignore), cast.watch("H264", ignore)
    await take(laggard, 1)
    seen = await take(prompt, 25)
    assert laggard.dropped >= broadcast.VIEWER_DEPTH
    (after,) = [each for each in await take(laggard, 1)]
    assert after.key and after.timestamp > seen[0].timestamp
    cast.leave(prompt)
    cast.leave(laggard)


async def test_a_storm_of_requests_is_no_storm_of_keyframes(quick: LiveHub) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    viewer = cast.watch("H264", ignore)
    keys_s = []
    for _ in range(45):
        viewer.ask_keyframe()
        (encoded,) = await take(viewer, 1)
        if encoded.key:
            keys_s.append(encoded.timestamp / 90_000)
    cast.leave(viewer)
    assert 3 <= len(keys_s) <= 6 and all(b - a >= 0.29 for a, b in pairwise(keys_s))


async def test_a_held_picture_repeats_and_a_request_is_met_from_it(quick: LiveHub) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    viewer = cast.watch("VP8", ignore)
    await take(viewer, 5)
    quick.paused = True
    await asyncio.sleep(0.4)
    late = cast.watch("VP8", ignore)
    came_s = monotonic()
    (first,) = await take(late, 1)
    assert first.key and monotonic() - came_s < 0.1
    stamps = [each.timestamp / 90_000 for each in await take(late, 6)]
    assert all(0.08 < b - a < 0.2 for a, b in pairwise(stamps))
    cast.leave(viewer)
    cast.leave(late)


async def test_nothing_to_show_costs_nothing(quick: LiveHub) -> None:
    quick.paused = True
    await asyncio.sleep(0.1)
    quick.current = None
    cast = Broadcast(quick, asyncio.get_running_loop())
    viewer = cast.watch("H264", ignore)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(viewer.next(), 0.3)
    assert cast.figures("H264")["encoded_frames"] == 0
    quick.paused = False
    assert (await take(viewer, 1))[0].key
    cast.leave(viewer)
    assert cast.figures("H264") == {}


async def test_a_broken_encoder_is_said_to_be_broken(quick: LiveHub, caplog: pytest.LogCaptureFixture) -> None:
    cast = Broadcast(quick, asyncio.get_running_loop())
    reasons: list[str] = []
    viewer = cast.watch("H264", reasons.append)
    await take(viewer, 1)
    viewer.relay._encoder = None  # type: ignore[assignment]  # whatever happens to an encoder
    while not reasons:
        await asyncio.sleep(0.01)
    assert reasons[0].startswith("The H264 encoder failed") and "failed" in caplog.text
    cast.leave(viewer)
    again = cast.watch("H264", ignore)
    assert (await take(again, 1))[0].key, "the next viewer gets a new one"
    cast.leave(again)
