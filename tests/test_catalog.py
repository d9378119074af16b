"""What is installed, and what could not be."""

from __future__ import annotations

import pytest

from scope import catalog
from scope.errors import NotFound, Unavailable


def test_our_own_pipelines_come_through_the_plugins_door() -> None:
    specs = catalog.load().specs
    assert {"passthrough", "gray", "test-pattern", "longlive"} <= specs.keys()


def test_a_plugin_that_cannot_be_used_is_named_and_harms_nobody() -> None:
    found = catalog.load("tests.no_such_module", "tests.faulty")
    assert [failed.name for failed in found.failed] == ["tests.no_such_module"]
    assert "No module named" in found.failed[0].error and "faulty-well" in found.specs


def test_what_is_not_there_and_what_cannot_be_loaded() -> None:
    found = catalog.load()
    with pytest.raises(NotFound, match="there are: .*passthrough"):
        found.find("no-such")
    with pytest.raises(Unavailable, match="LongLive: "):
        found.loadable("longlive")
    with pytest.raises(NotFound, match="there are: webrtc"):
        catalog.edge("telegraph")
