"""One real server for the tests of a module; modules do not share one, so that a failure cannot spread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_server import LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    home: Path = tmp_path_factory.mktemp("scope-home")
    with LiveServer(home, env={"SCOPE_PLUGINS": "tests.faulty"}) as live:
        yield live
