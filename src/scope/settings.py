"""Directories, environment and flags: everything the outside decides before the server starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scope import __version__
from scope.errors import BadInput

ControllerPolicy = Literal["takeover", "refuse", "watch"]
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """One immutable value, handed down from the command line."""

    base_dir: Path
    models_dir: Path
    assets_dir: Path
    lora_dir: Path
    logs_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    in_process: bool = False  # run the chunk loop in a thread of the server instead of a worker process
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None  # None on loopback: no token asked for
    insecure: bool = False  # a bind beyond loopback without a token, asked for by name
    managed: bool = False  # a parent restarts us when we exit with 42
    preload: str | None = None  # pipeline to load at start
    ice_servers: tuple[dict[str, Any], ...] = ()
    second_controller: ControllerPolicy = "takeover"
    max_upload_bytes: int = 2 * GIB
    version: str = field(default=__version__)

    @property
    def loopback(self) -> bool:
        return self.host in {"127.0.0.1", "::1", "localhost"}


def from_environment(env: Mapping[str, str] = os.environ, **flags: Any) -> Settings:
    """Settings from the variables of contract 1.8, overridden by `flags` that are not None.

    Raises BadInput when a variable cannot be read.
    """
    base = _path(env, "DAYDREAM_SCOPE_DIR", Path.home() / ".daydream-scope")
    models = _path(env, "DAYDREAM_SCOPE_MODELS_DIR", base / "models")
    found: dict[str, Any] = {
        "base_dir": base,
        "models_dir": models,
        "assets_dir": _path(env, "DAYDREAM_SCOPE_ASSETS_DIR", models.parent / "assets"),
        "lora_dir": _path(env, "DAYDREAM_SCOPE_LORA_DIR", models / "lora"),
        "logs_dir": _path(env, "DAYDREAM_SCOPE_LOGS_DIR", base / "logs"),
        "managed": bool(env.get("DAYDREAM_SCOPE_MANAGED")),
        "preload": env.get("PIPELINE") or None,
        "token": env.get("SCOPE_TOKEN") or None,
        "ice_servers": _ice_servers(env.get("SCOPE_ICE_SERVERS", "")),
        "second_controller": _policy(env.get("SCOPE_SECOND_CONTROLLER", "takeover")),
    }
    if host := env.get("SCOPE_HOST"):
        found["host"] = host
    if port := env.get("SCOPE_PORT"):
        found["port"] = _port(port)
    return Settings(**(found | {name: value for name, value in flags.items() if value is not None}))


def _path(env: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(env[name]).expanduser() if env.get(name) else default


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise BadInput(f"SCOPE_PORT is {text!r}; give a port number between 0 and 65535")
    return int(text)


def _policy(text: str) -> ControllerPolicy:
    if text not in ("takeover", "refuse", "watch"):
        raise BadInput(f"SCOPE_SECOND_CONTROLLER is {text!r}; give takeover, refuse or watch")
    policy: ControllerPolicy = text  # type: ignore[assignment]  # narrowed by the line above, which mypy does not follow
    return policy


def _ice_servers(text: str) -> tuple[dict[str, Any], ...]:
    """SCOPE_ICE_SERVERS: a URL, several separated by spaces, or the JSON list that RTCPeerConnection takes."""
    if not text.strip():
        return ()
    if not text.lstrip().startswith("["):
        return tuple({"urls": url, "username": None, "credential": None} for url in text.split())
    try:
        servers = json.loads(text)
        return tuple({"urls": s["urls"], "username": s.get("username"), "credential": s.get("credential")} for s in servers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"SCOPE_ICE_SERVERS is neither URLs nor a JSON list of {{urls, username, credential}}: {error}") from error
