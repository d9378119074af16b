"""What /openapi.json says is true: schemathesis asks everything it describes, in good form and in bad."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from scope import catalog
from scope.server.app import ROUTERS, build
from scope.settings import from_environment
from scope.store.store import Store
from scope.store.transfer import Patience
from tests.server.conftest import BASE_URL, StubEdge, offline

ROUTES = [
    (method, route.path.replace(":path}", "}"))
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in sorted(route.methods or ())
]
EXAMPLES = 12
TOO_LARGE = (413, 414)
NOT_ASKED: list[Any] = [not_a_server_error, positive_data_acceptance]  # 501 and 503 are honest; not every name that fits is known


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("openapi")
    made = from_environment(offline(folder), in_process=True)
    nowhere = replace(made, max_upload_bytes=1 << 20, civitai_url="http://127.0.0.1:9")
    app = build(nowhere, catalog.load(), edge=StubEdge())
    app.state.desk.store = Store.of(nowhere, Patience(tries=1))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture(scope="module")
def schema(client: TestClient) -> Any:
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


def _ask(client: TestClient, case: Case[Any]) -> None:
    asked = case.as_transport_kwargs(base_url=BASE_URL)
    client.cookies.update(asked.pop("cookies", None) or {})
    reply = client.request(**{"content" if name == "data" else name: value for name, value in asked.items()})
    client.cookies.clear()
    assert reply.status_code != 500
    refused_for_size = [negative_data_rejection] if reply.status_code in TOO_LARGE else []  # a refusal schemathesis does not know
    case.validate_response(reply, excluded_checks=NOT_ASKED + refused_for_size)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_api_does_what_it_says(client: TestClient, schema: Any, method: str, path: str, mode: GenerationMode) -> None:
    operation = schema[path][method]
    takes_nothing = not operation.body and not any(True for _ in operation.iter_parameters())
    if mode is GenerationMode.NEGATIVE and takes_nothing:
        return  # there is nothing to get wrong

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Case[Any]) -> None:
        _ask(client, case)

    with contextlib.suppress(Unsatisfiable):  # a path that takes any text cannot be wrong
        ask()


def test_every_route_says_what_it_answers(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(ROUTES)
    for path, methods in paths.items():
        for method, about in methods.items():
            answers = about["responses"]
            assert "4XX" in answers, (method, path)
            good = answers.get("200", answers.get("204"))
            assert good is not None, (method, path)
            assert all(content.get("schema") != {} for content in good.get("content", {}).values()), (method, path)
