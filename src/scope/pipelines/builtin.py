"""The pipelines that ship with us, as one plugin."""

from __future__ import annotations

from scope.catalog import hookimpl
from scope.contract import Spec
from scope.pipelines import family, gray, nano, passthrough, processors, test_pattern


@hookimpl
def pipelines() -> list[Spec]:
    """In the order they are offered: a page opens with the first; `nano` is not good enough for that yet (decision 011)."""
    return [test_pattern.SPEC, passthrough.SPEC, nano.SPEC, gray.SPEC, *processors.SPECS, *family.SPECS]
