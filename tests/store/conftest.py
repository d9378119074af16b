"""Far ends, and a web that may reach them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scope.store.downloads import Downloads
from scope.store.fetch import Web
from scope.store.safety import Rules
from scope.store.transfer import Patience
from tests.store.far import Far, far_end

QUICK = Patience(tries=4, first_pause_s=0.001, longest_pause_s=0.01)


@pytest.fixture
def far() -> Iterator[Far]:
    with far_end() as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[Far]:
    with far_end() as opened:
        yield opened


@pytest.fixture
def web(far: Far) -> Web:
    return Web(Rules.trusting(far.address), timeout_s=5.0)


@pytest.fixture
def downloads(web: Web) -> Iterator[Downloads]:
    made = Downloads(web, QUICK)
    yield made
    made.close()
