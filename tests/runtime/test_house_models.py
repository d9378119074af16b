"""A row of the family through the house: loaded in a worker, prompted, paused, fed with video."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest

from scope import catalog
from scope.contract import Join
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from scope.settings import from_environment
from tests.runtime.live_client import Client, filming

PATIENCE_S = 40.0
SMALL = {"weights": "random", "height": 32, "width": 48, "seed": 3, "lora_merge_mode": "none", "vae_type": "lightvae"}


@pytest.fixture
def house() -> Iterator[House]:
    found = House(from_environment({}), catalog.load())
    yield found
    found.close()


def loaded(house: House) -> dict[str, Any]:
    deadline_s = monotonic() + PATIENCE_S
    while house.status()["status"] == "loading" and monotonic() < deadline_s:
        sleep(0.02)
    status = house.status()
    assert status["status"] == "loaded", status["error"]
    return status


def test_a_row_runs_in_a_worker_and_takes_prompts(house: House) -> None:
    house.load([StageRequest("longlive", "longlive", dict(SMALL))])
    assert loaded(house)["load_params"]["base_seed"] == 3
    client, outlet = Client(), house.outlet(64)
    session = house.join(client, Join({"prompts": [{"text": "a cat", "weight": 100}], "recording": False}))
    first = outlet.take(PATIENCE_S)
    assert first is not None and (first.width, first.height) == (48, 32)
    wish = {"target_prompts": [{"text": "a dog"}], "num_steps": 2}
    session.turn({"prompts": [{"text": "a cat"}], "transition": wish, "noise_scale": 0.5, "_ack": 4})
    assert set(client.hear("applied", seq=4)["keys"]) == {"noise_scale", "prompts", "transition"}
    session.turn({"denoising_step_list": [250, 500]})
    assert "lower than the one before" in client.hear("warning", code="bad_value")["message"]


def told(client: Client, state: str) -> dict[str, Any]:
    return client.hear("transition", state=state)


def playing(house: House, name: str = "longlive", parameters: Any = None, **load_params: Any) -> tuple[Any, Client, Any]:
    house.load([StageRequest("main", name, SMALL | load_params)])
    loaded(house)
    client, outlet = Client(), house.outlet(256)
    session = house.join(client, Join(parameters or {"prompts": "a cat"}))
    assert outlet.take(PATIENCE_S) is not None
    return session, client, outlet


def test_a_transition_is_announced_and_its_target_becomes_what_is_known(house: House) -> None:
    session, client, _ = playing(house)
    session.turn({"transition": {"target_prompts": ["a dog"], "num_steps": 4}})
    assert told(client, "started")["target_prompts"] == [{"text": "a dog", "weight": 1.0}]
    assert 0 < told(client, "finished")["progress"] == 1 and told(client, "progress")["node_id"] == "main"
    assert house.values()["prompts"] == [{"text": "a dog", "weight": 1.0}]


def test_thirty_messages_a_second_do_not_pull_a_transition_back(house: House) -> None:
    """Contract 12.3 through a real worker; the chunks here are faster than the messages."""
    session, client, _ = playing(house)
    wish = {"target_prompts": [{"text": "sparks"}], "num_steps": 1.0, "unit": "seconds"}
    for tick in range(75):
        prompts = [{"text": "a cat" if tick < 70 else "sparks", "weight": 1}]
        session.turn({"prompts": prompts, "noise_scale": 0.5, "manage_cache": True} | ({"transition": wish} if tick == 5 else {}))
        sleep(1 / 30)
    told(client, "finished")
    assert house.values()["prompts"] == [{"text": "sparks", "weight": 1.0}]
    states = [message["state"] for message in client.all("transition")]
    assert states.count("started") == states.count("finished") == 1 and "superseded" not in states


def test_a_replaced_worker_shows_the_target_and_not_where_it_came_from(house: House) -> None:
    session, client, outlet = playing(house)
    session.turn({"transition": {"target_prompts": ["a dog"], "num_steps": 2}})
    told(client, "finished")
    os.kill(house._worker.pid, signal.SIGKILL)  # type: ignore[union-attr, arg-type]
    client.hear("recovered", code="worker_lost")
    assert house.values()["prompts"] == [{"text": "a dog", "weight": 1.0}]


def test_whoever_joins_is_told_what_this_is(house: House) -> None:
    _, client, _ = playing(house, weights="preview")
    assert "preview" in client.hear("warning", code="notice")["message"]


def test_a_camera_is_followed(house: House) -> None:
    session, _, outlet = playing(house, "streamdiffusionv2", {"prompts": "a cat", "input_mode": "text"})
    session.turn({"input_mode": "video"})
    with filming(session):
        sleep(1.0)
        while outlet.take(0) is not None:
            pass
        assert outlet.take(PATIENCE_S) is not None
    assert house.metrics()["worker"]["mode"] == "video"


def test_a_lora_that_cannot_be_turned_is_complained_about(house: House) -> None:
    session, client, _ = playing(house)
    session.turn({"lora_scales": [{"path": "style", "scale": 0.5}], "_ack": 1})
    assert "No LoRA" in client.hear("warning", code="lora")["message"]
    assert client.hear("applied", seq=1)["keys"] == ["lora_scales"]


def test_a_wrong_lora_fails_the_load_in_words(house: House) -> None:
    house.load([StageRequest("main", "longlive", SMALL | {"loras": [{"path": "nothing", "scale": 1}]})])
    deadline_s = monotonic() + PATIENCE_S
    while (status := house.status())["status"] == "loading" and monotonic() < deadline_s:
        sleep(0.02)
    assert status["status"] == "error" and "no LoRA 'nothing'" in status["error"]


def test_gray_may_stand_before_a_row(house: House) -> None:
    house.load([StageRequest("gray", "gray", dict(SMALL)), StageRequest("main", "streamdiffusionv2", dict(SMALL))])
    assert loaded(house)["pipeline_id"] == "streamdiffusionv2"


def test_without_weights_it_is_a_preview_and_says_so(house: House) -> None:
    house.load([StageRequest("longlive", "longlive", {"height": 32, "width": 48})])
    assert "preview" in loaded(house)["notice"]
    house.load([StageRequest("longlive", "longlive", dict(SMALL))])
    assert "Random weights" in loaded(house)["notice"]
