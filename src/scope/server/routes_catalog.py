"""What is installed: plugins, and the nodes a graph can be made of."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from scope.contract import Spec
from scope.server import problems
from scope.server.desk import At, Desk
from scope.server.schemas import SchemaEntry

router = APIRouter(prefix="/api/v1", tags=["catalogue"], route_class=problems.StrictRoute)


class PluginPipeline(BaseModel):
    pipeline_id: str
    pipeline_name: str


class Plugin(BaseModel):
    name: str
    version: str | None = None
    author: str | None = None
    description: str | None = None
    source: str = "pypi"
    editable: bool = False
    editable_path: str | None = None
    pipelines: list[PluginPipeline]
    latest_version: str | None = None
    update_available: bool | None = None
    package_spec: str | None = None
    bundled: bool = False


class BrokenPlugin(BaseModel):
    package_name: str
    entry_point_name: str
    error_type: str
    error_message: str


class Plugins(BaseModel):
    plugins: list[Plugin]
    total: int
    failed_plugins: list[BrokenPlugin]


class Port(BaseModel):
    name: str
    port_type: str
    required: bool
    description: str
    default_value: Any = None


class Node(BaseModel):
    node_type_id: str
    display_name: str
    category: str
    description: str
    inputs: list[Port]
    outputs: list[Port]
    params: list[dict[str, Any]]
    continuous: bool
    pipeline_meta: SchemaEntry | None
    plugin_name: str | None


class Nodes(BaseModel):
    nodes: list[Node]


@router.get("/plugins")
def plugins(desk: At) -> Plugins:
    """Packages that bring pipelines, and those that could not be used."""
    brought = sorted((spec for spec in desk.catalog.specs.values() if spec.plugin), key=lambda spec: spec.plugin or "")
    found = [_plugin(name or "", list(specs)) for name, specs in groupby(brought, lambda spec: spec.plugin)]
    failed = [_broken(plugin.name, plugin.error) for plugin in desk.catalog.failed]
    return Plugins(plugins=found, total=len(found), failed_plugins=failed)


def _plugin(name: str, specs: list[Spec]) -> Plugin:
    pipelines = [PluginPipeline(pipeline_id=spec.id, pipeline_name=spec.name) for spec in specs]
    return Plugin(name=name, version=_version(name), package_spec=name, pipelines=pipelines)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # it reads the file system; only who asks pays

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _broken(name: str, error: str) -> BrokenPlugin:
    kind, _, message = error.partition(": ")
    return BrokenPlugin(package_name=name, entry_point_name=name, error_type=kind, error_message=message)


@router.get("/nodes/definitions", response_model=Nodes, response_model_exclude_unset=True)
def node_definitions(desk: At) -> dict[str, Any]:
    """Every pipeline as a node."""
    return {"nodes": [_node(desk, spec) for spec in desk.catalog.specs.values()]}


def _node(desk: Desk, spec: Spec) -> dict[str, Any]:
    entry = desk.entries[spec.id]
    prompts = [_port("prompts", "string")] if spec.supports_prompts else []
    return {
        "node_type_id": spec.id,
        "display_name": spec.name,
        "category": "pipeline",
        "description": spec.description,
        "inputs": [_port(name, "video") for name in entry.get("inputs", [])] + prompts,
        "outputs": [_port(name, "video") for name in entry.get("outputs", [])],
        "params": [],
        "continuous": False,
        "pipeline_meta": entry,
        "plugin_name": spec.plugin,
    }


def _port(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "port_type": kind, "required": False, "description": "", "default_value": None}
