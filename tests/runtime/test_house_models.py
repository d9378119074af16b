"""A row of the family through the house: loaded in a worker, prompted, paused, fed with video."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest

from scope import catalog
from scope.contract import Join
from scope.errors import Unavailable
from scope.runtime.house import House
from scope.runtime.options import StageRequest
from scope.settings import from_environment
from tests.runtime.live_client import Client

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


def test_gray_may_stand_before_a_row(house: House) -> None:
    house.load([StageRequest("gray", "gray", dict(SMALL)), StageRequest("main", "streamdiffusionv2", dict(SMALL))])
    assert loaded(house)["pipeline_id"] == "streamdiffusionv2"


def test_without_weights_it_is_refused_with_a_way_out(house: House) -> None:
    with pytest.raises(Unavailable, match="weights='random'"):
        house.load([StageRequest("longlive", "longlive", {})])
