"""What a client asks for at load: aliases, snapping, refusals in words; and what status says about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope import catalog
from scope.errors import BadInput, NotFound, Unavailable
from scope.pipelines import family, gray, passthrough, test_pattern
from scope.runtime.options import MOST_STAGES, StageRequest, plan, resolve
from scope.runtime.status import Status

WAN = family.SPECS[0]
CATALOG = catalog.load()


def _plan(*ids: str) -> Any:
    return plan(CATALOG, [StageRequest(id, id) for id in ids])


def test_aliases_are_followed_and_foreign_keys_ignored() -> None:
    options = resolve(WAN, {"seed": 7, "denoising_step_list": [1000, 500], "lora_merge_mode": "none", "loras": None})
    assert (options["base_seed"], options["denoising_steps"]) == (7, [1000, 500])
    assert "lora_merge_mode" not in options and "seed" not in options


def test_null_means_the_default() -> None:
    assert resolve(WAN, {"height": None, "quantization": None}) == resolve(WAN, {})


@pytest.mark.parametrize(
    ("given_size", "used"), [((500, 300), (496, 288)), ((512, 512), (512, 512)), ((16, 17), (16, 16)), ((4096, 31), (4096, 16))]
)
def test_sizes_are_snapped_down(given_size: tuple[int, int], used: tuple[int, int]) -> None:
    for spec in (WAN, test_pattern.SPEC):
        options = resolve(spec, {"width": given_size[0], "height": given_size[1]})
        assert (options["width"], options["height"]) == used


@pytest.mark.parametrize(
    "load_params",
    [
        {"width": 0},
        {"width": 100_000},
        {"height": -16},
        {"width": float("nan")},
        {"width": float("inf")},
        {"width": 10**400},
        {"width": "wide"},
        {"width": [512]},
        {"width": 511.5},
    ],
)
def test_impossible_sizes_are_refused_in_words(load_params: dict[str, Any]) -> None:
    for spec in (WAN, test_pattern.SPEC):
        with pytest.raises(BadInput, match="width|height") as caught:
            resolve(spec, load_params)
        assert spec.id in str(caught.value) and len(str(caught.value)) < 300


def test_a_stage_without_a_size_ignores_it() -> None:
    assert resolve(passthrough.SPEC, {"width": 0, "height": "x"}) == {}


@given(width=st.integers(16, 4096), height=st.integers(16, 4096))
def test_every_size_in_range_is_usable(width: int, height: int) -> None:
    options = resolve(test_pattern.SPEC, {"width": width, "height": height})
    assert options["width"] % 16 == options["height"] % 16 == 0
    assert 0 <= width - options["width"] < 16 and 0 <= height - options["height"] < 16


@pytest.mark.parametrize(("ids", "error"), [((), BadInput), (("nope",), NotFound), (("longlive",), Unavailable)])
def test_a_chain_that_cannot_be_is_refused_before_anything_is_loaded(ids: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _plan(*ids)


def test_an_id_of_64_megabytes_is_not_repeated() -> None:
    with pytest.raises(NotFound) as caught:
        _plan("x" * (64 << 20))
    assert len(str(caught.value)) < 1000


def test_nodes_of_a_chain_have_different_names_and_there_is_an_end_to_it() -> None:
    with pytest.raises(BadInput, match="different"):
        _plan("gray", "gray")
    with pytest.raises(BadInput, match="at most"):
        plan(CATALOG, [StageRequest(str(i), "gray") for i in range(MOST_STAGES + 1)])


# -- status -------------------------------------------------------------------------------------------------------------


def test_before_anything_is_loaded() -> None:
    said = Status().as_json()
    assert (said["status"], said["pipeline_id"], said["load_params"], said["error"]) == ("not_loaded", None, None, None)


def test_a_load_passes_through_its_states() -> None:
    status = Status()
    status.begin(_plan("gray", "test-pattern"))
    assert status.as_json()["status"] == "loading" and status.as_json()["loading_stage"] and not status.joinable
    status.done()
    said = status.as_json()
    assert (said["status"], said["pipeline_id"], said["loading_stage"]) == ("loaded", "test-pattern", None)
    assert said["load_params"] == {"height": 512, "width": 512} and status.joinable
    status.clear()
    assert status.as_json() == Status().as_json()


def test_an_error_stays_until_the_next_load() -> None:
    status = Status()
    status.begin(_plan("gray"))
    status.fail("no memory")
    for _ in range(3):
        assert (status.as_json()["status"], status.as_json()["error"]) == ("error", "no memory")
    assert not status.joinable
    status.begin(_plan("gray"))
    assert (status.as_json()["status"], status.as_json()["error"]) == ("loading", None)


def test_a_refused_load_does_not_disturb_what_runs() -> None:
    status = Status()
    status.refuse("no such pipeline")
    assert status.as_json()["error"] == "no such pipeline"
    status.begin(_plan("gray"))
    status.refuse("no such pipeline")
    assert status.as_json()["status"] == "loading"
    status.done()
    status.refuse("no such pipeline")
    assert (status.as_json()["status"], status.as_json()["error"]) == ("loaded", None)


def test_while_it_restarts_clients_may_join() -> None:
    status = Status()
    status.begin(_plan(gray.SPEC.id))
    status.done()
    status.restart()
    assert status.as_json()["status"] == "loading" and status.joinable
    status.done()
    assert status.as_json()["status"] == "loaded" and not status.restarting
