"""Imports point down: the whole rule of the house, and the only place it is written. Files and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "scope"
GROUND = {"errors", "frame", "contract", "settings", "published", "__init__"}  # what every room may use
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "frame": set(),
    "settings": {"errors", "__init__"},
    "published": {"errors"},
    "contract": {"errors", "frame"},
    "catalog": GROUND,
    "models": GROUND,
    "listening": GROUND,
    "edges": GROUND,
    "store": GROUND,
    "runtime": GROUND | {"catalog"},
    "pipelines": GROUND | {"models", "catalog"},
    "server": GROUND | {"runtime", "listening", "catalog", "store"},
    "offline": GROUND | {"runtime", "catalog"},
    "bench": GROUND | {"runtime", "edges", "catalog", "offline"},
    "__main__": GROUND | {"runtime", "server", "catalog", "store", "offline", "bench"},
    "__init__": set(),
}
FILE_LINES, FUNCTION_LINES = 300, 40


def _sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def _rooms_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "scope":
            parts = node.module.split(".")
            yield from (
                {parts[1]}
                if len(parts) > 1
                else {a.name if (SRC / a.name).exists() or (SRC / f"{a.name}.py").exists() else "__init__" for a in node.names}
            )
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("scope."))


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_every_import_points_down(path: Path) -> None:
    room = _room(path)
    extra = set(_rooms_imported(path)) - MAY_IMPORT[room] - {room}
    assert not extra, f"{path.relative_to(SRC)} reaches up into {extra}"


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES, f"{path.name} has {text.count(chr(10))} lines; find the natural cut"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{path.name}:{node.name} has {length} lines"


def test_only_models_and_their_pipelines_import_torch() -> None:
    """The server starts in well under two seconds because nothing it imports pulls in torch."""
    for path in _sources():
        if _room(path) in {"models", "pipelines"}:
            continue
        names = {
            a.name.split(".")[0] for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import) for a in n.names
        }
        assert "torch" not in names, f"{path} imports torch"
