"""The pipelines that ship with us, as one plugin."""

from __future__ import annotations

from scope.catalog import hookimpl
from scope.contract import Spec
from scope.pipelines import family, gray, passthrough, test_pattern


@hookimpl
def pipelines() -> list[Spec]:
    return [*family.SPECS, test_pattern.SPEC, passthrough.SPEC, gray.SPEC]
