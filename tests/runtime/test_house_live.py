"""A running picture with a real worker: it is steered, it stumbles, it dies, and it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from scope.contract import Join
from scope.frame import Frame
from scope.runtime.house import House
from tests.runtime.live_client import PATIENCE_S, Client, Screen, code, filming, join, load, open_house, until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture(params=[False, True], ids=["process", "thread"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """The same house, with its worker in a process and in a thread."""
    with open_house(tmp_path, in_process=request.param) as opened:
        yield opened


def _pid(house: House) -> int:
    worker = house._worker
    assert worker is not None and worker.pid is not None
    return worker.pid


# -- steering -----------------------------------------------------------------------------------------------------------


def test_the_frame_of_an_acknowledgement_is_the_first_that_shows_the_value(either: House) -> None:
    load(either, "test-pattern", width=128, height=64)
    session, client, screen = join(either)
    shown: dict[int, int] = {}

    def note(frame: Frame) -> bool:
        said = code(frame)
        assert said is not None
        shown[frame.index] = said[1]
        return True

    note(screen.frame())
    for seq, level in enumerate((0.2, 0.4, 0.6, 0.8, 1.0)):
        session.turn({"level": level, "_ack": seq})
        answer = client.hear("applied", seq=seq)
        assert answer["keys"] == ["level"]
        while answer["frame"] not in shown:
            note(screen.frame())
        assert shown[answer["frame"]] == round(level * 255) > shown[answer["frame"] - 1]
    assert len(client.all("applied")) == 5
    session.leave()


def test_a_fast_knob_is_acknowledged_at_the_first_frame_that_shows_it(either: House) -> None:
    load(either, "test-pattern", width=128, height=64)
    session, client, screen = join(either, parameters={"speed": 0.0})
    light = {(frame := screen.frame()).index: _light(frame)}
    session.turn({"brightness": -1.0, "_ack": 1})
    answer = client.hear("applied", seq=1)
    while answer["frame"] not in light:
        frame = screen.frame()
        light[frame.index] = _light(frame)
    assert light[answer["frame"]] < light[answer["frame"] - 1]
    session.leave()


def _light(frame: Frame) -> float:
    return float(frame.planes()[0].mean())


def test_a_message_with_keys_of_both_lanes_is_answered_for_every_key_once(house: House) -> None:
    load(house, "faulty-well")
    session, client, screen = join(house)
    screen.frame()
    session.turn({"level": 0.5, "brightness": 0.1, "paused": False, "nonsense": 1, "saturation": 99, "_ack": 5})
    until(lambda: {key for m in client.all("applied", seq=5) for key in m["keys"]}, lambda keys: len(keys) == 3)
    session.turn({"level": 0.6, "_ack": 6})
    client.hear("applied", seq=6)
    keys = [key for m in client.all("applied", seq=5) for key in m["keys"]]
    assert sorted(keys) == ["brightness", "level", "paused"]
    assert [m["key"] for m in client.all("warning", code="bad_value")] == ["saturation"]
    session.leave()


def test_a_flood_of_a_thousand_messages(either: House) -> None:
    """Contract, appendix B 15: the last value at the next chunk, nothing queues, one-shots exactly once."""
    load(either, "faulty-well")
    session, client, screen = join(either)
    screen.frame()
    for i in range(1000):
        session.turn({"level": i / 1000, **({"_ack": i} if i % 100 == 99 else {})})
        screen.drain()
    began_s = monotonic()
    screen.see_level(round(0.999 * 255))
    assert monotonic() - began_s < 5.0
    client.hear("applied", seq=999)
    for i in range(20):
        session.turn({"shots": 1, "_ack": 2000 + i})
        client.hear("applied", seq=2000 + i)
    screen.drain()
    screen.see(lambda _, shots: shots == 20)
    assert all(shown is not None and shown[1] == 20 for shown in (code(screen.frame()) for _ in range(10)))
    assert len(client.all("applied")) == 30
    session.leave()


def test_other_clients_are_told_what_someone_turned(house: House) -> None:
    load(house, "faulty-well")
    session, client, _ = join(house)
    _, watching, _ = join(house, role="viewer")
    session.turn({"level": 0.5})
    assert watching.hear("parameters_updated")["parameters"] == {"level": 0.5}
    assert house.turn_all({"brightness": 0.25}) == {"brightness": 0.25}
    assert client.hear("parameters_updated")["parameters"] == {"brightness": 0.25}
    assert house.values() == {"level": 0.5, "brightness": 0.25}
    session.leave()


# -- pause --------------------------------------------------------------------------------------------------------------


def test_pause_holds_the_picture_and_resume_goes_on_within_a_chunk(either: House) -> None:
    load(either, "faulty-well")
    session, client, screen = join(either)
    screen.frame()
    session.turn({"paused": True, "_ack": 1})
    client.hear("applied", seq=1, timeout_s=5.0)
    assert screen.rests(0.3) and either.current is not None
    held = code(either.current)
    assert held is not None
    session.turn({"level": 1.0})
    session.turn({"paused": False, "_ack": 2})
    client.hear("applied", seq=2, timeout_s=5.0)
    screen.see(lambda number, level: held[0] < number <= held[0] + 3 and level == 255)
    session.leave()


def test_pause_acts_at_once_even_in_the_middle_of_a_burst(house: House) -> None:
    """Contract 3.6: applied immediately, not queued behind generation; what was made already is shown after it."""
    load(house, "faulty-bursty")
    session, client, screen = join(house)
    screen.see(lambda number, _: number == 13)
    session.turn({"paused": True, "_ack": 1})
    answer = client.hear("applied", seq=1, timeout_s=5.0)
    assert screen.rests(1.5)
    assert house.current is not None and house.current.index <= answer["frame"]
    held = code(house.current)
    session.turn({"paused": False})
    assert held is not None
    screen.see(lambda number, _: number == held[0] + 1)
    session.leave()


def test_a_fast_knob_shows_the_held_picture_again(either: House) -> None:
    load(either, "test-pattern", width=128, height=64)
    session, client, screen = join(either)
    screen.frame()
    session.turn({"paused": True, "_ack": 1})
    client.hear("applied", seq=1)
    assert screen.rests(0.3) and either.current is not None
    before = either.current
    session.turn({"mirror": True, "_ack": 2})
    answer, again = client.hear("applied", seq=2), screen.frame()
    assert again.index == answer["frame"]
    assert (again.planes()[0] == before.planes()[0][:, ::-1]).all()
    assert screen.rests(0.3)
    session.leave()


def test_a_session_may_begin_paused(house: House) -> None:
    load(house, "faulty-well")
    session, _, screen = join(house, parameters={"paused": True})
    assert screen.rests(0.5)
    session.turn({"paused": False})
    screen.frame()
    session.leave()


def test_video_input_goes_on_being_drained_while_paused(house: House) -> None:
    """After the pause the picture is of now, not of then."""
    load(house, "passthrough")
    session, client, screen = join(house)
    with filming(session) as camera:
        screen.frame()
        session.turn({"paused": True, "_ack": 1})
        client.hear("applied", seq=1)
        taken = camera.taken
        until(lambda: camera.taken, lambda now: now > taken + 15)
        screen.drain()
        later = camera.taken
        session.turn({"paused": False})
        screen.see(lambda number, _: number >= later - 3)
        assert screen.see(lambda *_: True)[1] >= later - 3
    session.leave()


# -- trouble ------------------------------------------------------------------------------------------------------------


def _steady(house: House) -> tuple[Any, Client, Screen]:
    """A stream that has shown a level of 0.5 for some chunks."""
    load(house, "faulty-well")
    session, client, screen = join(house, parameters={"level": 0.5})
    screen.see(lambda number, level: number >= 5 and level == 128)
    return session, client, screen


def test_killed_in_mid_stream(house: House) -> None:
    session, client, screen = _steady(house)
    os.kill(_pid(house), signal.SIGKILL)
    client.hear("warning", code="worker_lost", timeout_s=5.0)
    assert house.current is not None and code(house.current) is not None
    assert house.status()["status"] == "loading"
    client.hear("recovered", code="worker_lost")
    screen.drain()
    screen.see_level(128)
    assert not client.dismissed and house.status()["status"] == "loaded" and len(client.all("recovered")) == 1
    session.leave()


def test_stopped_in_mid_stream_is_noticed_within_a_second_and_replaced(house: House) -> None:
    session, client, screen = _steady(house)
    pid = _pid(house)
    os.kill(pid, signal.SIGSTOP)
    began_s = monotonic()
    client.hear("warning", code="worker_silent", timeout_s=10.0)
    assert monotonic() - began_s < 2.0  # a second, and what a busy machine adds
    client.hear("warning", code="worker_lost", timeout_s=10.0)
    session.turn({"level": 0.25})
    screen.drain()
    screen.see_level(64)
    assert _pid(house) != pid and not client.dismissed
    session.leave()


def test_what_is_said_while_the_worker_is_down_is_applied_once_it_is_back(house: House) -> None:
    session, client, screen = _steady(house)
    os.kill(_pid(house), signal.SIGSTOP)
    client.hear("warning", code="worker_silent", timeout_s=10.0)
    session.turn({"shots": 3})  # into a pipe that nobody reads
    client.hear("warning", code="worker_lost", timeout_s=10.0)
    session.turn({"level": 1.0, "_ack": 1})
    session.turn({"shots": 4, "_ack": 2})
    client.hear("applied", seq=1)
    client.hear("applied", seq=2)
    screen.drain()
    _, number, _ = screen.see(lambda _, shots: shots == 4)  # of cues that wait for the same chunk the latest wins
    screen.see(lambda later, shots: later > number + 5 and shots == 4)
    assert len(client.all("applied")) == 2 and house.values()["level"] == 1.0
    session.leave()


def test_a_worker_that_keeps_dying_is_given_up_in_words(house: House) -> None:
    load(house, "faulty-dying")
    _, client, _ = join(house)
    assert "not restarted" in client.be_dismissed(60.0)
    assert house.status()["status"] == "error" and house.status()["error"]
    load(house, "faulty-well")


def test_a_cue_that_kills_its_worker_does_not_kill_the_session(house: House) -> None:
    session, client, screen = _steady(house)
    session.turn({"act": "die"})
    client.hear("warning", code="worker_lost")
    until(lambda: _lives_on(house, screen), bool, 60.0)
    assert not client.dismissed
    session.leave()


def _lives_on(house: House, screen: Screen) -> bool:
    return house.status()["status"] == "loaded" and not screen.rests(0.5, 2.0)


def test_a_chunk_that_fails_once_is_a_warning(either: House) -> None:
    """The cue that failed is tried once more, and then given up."""
    session, client, screen = _steady(either)
    session.turn({"act": "raise"})
    assert "asked to fail" in client.hear("warning", code="chunk_failed")["message"]
    client.hear("warning", code="cue_dropped")
    client.hear("recovered", code="chunk_failed")
    screen.drain()
    screen.see_level(128)
    assert not client.dismissed and either.status()["status"] == "loaded"
    session.leave()


def test_memory_that_runs_out_once_is_survived(house: House) -> None:
    session, client, screen = _steady(house)
    session.turn({"act": "oom", "_ack": 1})
    assert "Out of memory" in client.hear("warning", code="chunk_failed")["message"]
    session.leave()


@pytest.mark.parametrize(("id", "words"), [("faulty-raising", "asked to fail"), ("faulty-starving", "Out of memory")])
def test_what_fails_always_is_ended_in_words(either: House, id: str, words: str) -> None:
    load(either, id)
    _, client, _ = join(either)
    assert words in client.be_dismissed()
    said = either.status()
    assert said["status"] == "error" and words in said["error"] and len(client.all("warning")) >= 1
    load(either, "faulty-well")
    session, _, screen = join(either)
    screen.frame()
    session.leave()


def test_chunks_without_frames_do_no_harm(house: House) -> None:
    load(house, "faulty-empty")
    session, client, screen = join(house)
    session.turn({"level": 0.5, "_ack": 1})
    until(lambda: house.metrics()["worker"].get("chunks", 0), lambda chunks: chunks > 20)
    assert screen.rests(0.1) and not client.dismissed and not client.all("warning")
    session.leave()


def test_bursts_leave_evenly(house: House) -> None:
    load(house, "faulty-bursty")
    session, _, screen = join(house)
    times = [monotonic() for _ in range(36) if screen.frame()]
    steps = np.diff(times[4:])
    assert np.mean(np.abs(steps - 1 / 12) < 0.2 / 12) > 0.8 and steps.max() < 0.5  # most: this machine has other work
    session.leave()


# -- who is there -------------------------------------------------------------------------------------------------------


def test_a_second_controller_takes_over_and_begins_anew(house: House) -> None:
    session, client, _ = _steady(house)
    _, other, screen = join(house, parameters={"level": 1.0})
    assert "took control" in client.be_dismissed(5.0)
    screen.see_level(255)
    session.leave()
    screen.drain()
    screen.see_level(255)
    assert not other.dismissed


def test_viewers_keep_the_picture_when_the_controller_leaves(house: House) -> None:
    session, _, _ = _steady(house)
    viewer, watching, screen = join(house, role="viewer")
    screen.see_level(128)
    session.leave()
    screen.drain()
    screen.see_level(128)
    assert not watching.dismissed
    viewer.leave()
    assert screen.rests(0.5)


def test_a_slow_screen_delays_nobody_and_loses_the_oldest(house: House) -> None:
    session, _, screen = _steady(house)
    slow = house.outlet(2)
    _, number, _ = screen.see(lambda *_: True)
    screen.see(lambda later, _: later > number + 30)
    first = slow.take(PATIENCE_S)
    assert slow.dropped > 20 and first is not None
    oldest = code(first)
    assert oldest is not None and oldest[0] > number + 20
    slow.close()
    session.leave()


def test_a_picture_that_is_held_long_stays_what_it_was(house: House) -> None:
    """Slots of the ring are not written again while someone looks at them."""
    session, _, screen = _steady(house)
    outlet = house.outlet(1)
    held = outlet.take(PATIENCE_S)
    assert held is not None
    before = held.i420().copy()
    _, number, _ = screen.see(lambda *_: True)
    screen.see(lambda later, _: later > number + 40)
    assert (held.i420() == before).all()
    outlet.close()
    session.leave()


# -- video --------------------------------------------------------------------------------------------------------------


def test_a_camera_comes_back_through_gray_and_passthrough(either: House) -> None:
    load(either, "gray", "passthrough")
    session, _, screen = join(either)
    with filming(session):
        frame, _, _ = screen.see(lambda number, _: number > 10)
    assert (frame.planes()[1] == 128).all() and (frame.planes()[2] == 128).all()
    session.leave()


def test_without_input_it_says_so_instead_of_staying_black(house: House) -> None:
    load(house, "passthrough")
    session, client, screen = join(house)
    assert "Passthrough" in client.hear("warning", code="no_input")["message"]
    assert screen.frame().planes()[0].max() > 60  # words
    with filming(session):
        client.hear("recovered", code="no_input")
    session.leave()


def test_killed_in_mid_stream_the_camera_goes_on(house: House) -> None:
    load(house, "passthrough")
    session, client, screen = join(house)
    with filming(session) as camera:
        screen.see(lambda number, _: number > 5)
        os.kill(_pid(house), signal.SIGKILL)
        client.hear("warning", code="worker_lost")
        client.hear("recovered", code="worker_lost")
        taken = camera.taken
        screen.see(lambda number, _: number > taken)
    session.leave()


def test_a_mode_that_is_not_there_is_named(house: House) -> None:
    load(house, "passthrough")
    client = Client()
    session = house.join(client, Join(parameters={"input_mode": "text"}))
    assert "no text mode" in client.hear("warning", code="mode")["message"]
    session.leave()
