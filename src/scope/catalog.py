"""What is installed. Our own pipelines and edges arrive through the same door as anyone else's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, Protocol, cast

import pluggy

from scope.contract import Spec
from scope.errors import NotFound, Unavailable

hookspec, hookimpl = pluggy.HookspecMarker("scope"), pluggy.HookimplMarker("scope")
BUILT_IN = ("scope.pipelines.builtin",)
EDGES = {"webrtc": "scope.edges.webrtc:WebRtc"}
log = logging.getLogger(__name__)


class Hooks(Protocol):
    @hookspec
    def pipelines(self) -> list[Spec]:
        """The pipelines this package offers, as rows that import no model."""


@dataclass(frozen=True, slots=True)
class FailedPlugin:
    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """Pipelines by id, in registration order, and the plugins that could not be used."""

    specs: dict[str, Spec]
    failed: tuple[FailedPlugin, ...] = ()

    def find(self, name: str) -> Spec:
        """Raises NotFound, naming what there is."""
        if name not in self.specs:
            raise NotFound(f"no pipeline {name[:80]!r}; there are: {', '.join(self.specs)}")
        return self.specs[name]

    def loadable(self, name: str) -> Spec:
        """Raises NotFound, or Unavailable with the reason."""
        spec = self.find(name)
        if spec.unavailable:
            raise Unavailable(f"{spec.name}: {spec.unavailable}")
        return spec


@cache
def load(*modules: str) -> Catalog:
    """Everything that is built in or installed. A plugin that raises is recorded and skipped, never fatal."""
    manager = pluggy.PluginManager("scope")
    manager.add_hookspecs(Hooks)
    for name in BUILT_IN:
        manager.register(import_module(name), name)
    failed = [*_register(manager, {name: partial(import_module, name) for name in modules}), *_register_installed(manager)]
    specs: dict[str, Spec] = {}
    for implementation in manager.hook.pipelines.get_hookimpls():
        try:
            rows = cast(Iterable[Spec], implementation.function())
        except Exception as error:  # noqa: BLE001 - the top of foreign code; reported in the catalogue
            failed.append(FailedPlugin(implementation.plugin_name, f"{type(error).__name__}: {error}"))
            continue
        for spec in rows:
            specs.setdefault(spec.id, spec)
    return Catalog(specs, tuple(failed))


def _register_installed(manager: pluggy.PluginManager) -> Iterable[FailedPlugin]:
    from importlib.metadata import entry_points

    return _register(manager, {point.name: point.load for point in entry_points(group="scope")})


def _register(manager: pluggy.PluginManager, plugins: Mapping[str, Callable[[], Any]]) -> Iterable[FailedPlugin]:
    for name, load_plugin in plugins.items():
        try:
            manager.register(load_plugin(), name)
        except Exception as error:  # noqa: BLE001 - the top of foreign code; reported in the catalogue
            log.warning("plugin %s could not be imported: %s", name, error)
            yield FailedPlugin(name, f"{type(error).__name__}: {error}")


def resolve(path: str) -> Callable[..., Any]:
    """The object that "module:name" points at, imported now."""
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def edge(name: str) -> Callable[..., Any]:
    """The class of an edge. Raises NotFound."""
    if name not in EDGES:
        raise NotFound(f"no edge {name!r}; there are: {', '.join(EDGES)}")
    return resolve(EDGES[name])
