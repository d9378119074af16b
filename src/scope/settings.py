"""Directories, environment and flags: everything the outside decides before the server starts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scope import __version__
from scope.errors import BadInput

TURN_VARIABLES: dict[str, tuple[str, str]] = {  # provider -> the variables of its account (contract 1.8)
    "cloudflare": ("CLOUDFLARE_TURN_KEY_ID", "CLOUDFLARE_TURN_KEY_API_TOKEN"),
    "twilio": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
}
ControllerPolicy = Literal["takeover", "refuse", "watch"]
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class TurnAccount:
    """With a provider that lends TURN credentials."""

    provider: str
    name: str
    secret: str = field(repr=False)


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
    token: str | None = field(default=None, repr=False)  # None on loopback: no token asked for
    insecure: bool = False  # a bind beyond loopback without a token, asked for by name
    managed: bool = False  # a parent restarts us when we exit with 42
    preload: str | None = None  # pipeline to load at start
    ice_servers: tuple[dict[str, Any], ...] = ()
    turn: TurnAccount | None = None
    lora_shared_dir: Path | None = None  # read-only LoRAs besides our own
    hub_url: str = "https://huggingface.co"  # or a mirror of it
    civitai_url: str = "https://civitai.com"
    hub_token: str | None = field(default=None, repr=False)  # from the environment, which wins over a stored one
    civitai_token: str | None = field(default=None, repr=False)
    hub_token_file: Path = field(default_factory=lambda: Path.home() / ".cache/huggingface/token")  # as the hub's own tools do
    fetch_from: tuple[str, ...] = ()  # origins in this network that may be fetched from, also without encryption
    verbose: bool = False  # everything is logged
    quiet_loggers: tuple[str, ...] = ()  # these log warnings only
    second_controller: ControllerPolicy = "takeover"
    max_upload_bytes: int = 2 * GIB
    plugins: tuple[str, ...] = ()  # modules with hooks, besides the installed ones (for development)
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
        "turn": _turn(env),
        "lora_shared_dir": _path(env, "DAYDREAM_SCOPE_LORA_SHARED_DIR", Path())
        if env.get("DAYDREAM_SCOPE_LORA_SHARED_DIR")
        else None,
        "hub_url": _web_address(env, "HF_ENDPOINT", "https://huggingface.co"),
        "hub_token": env.get("HF_TOKEN") or env.get("HUGGING_FACE_HUB_TOKEN") or None,
        "civitai_token": env.get("CIVITAI_API_TOKEN") or None,
        "hub_token_file": _hub_token_file(env),
        "fetch_from": tuple(env.get("SCOPE_FETCH_FROM", "").split()),
        "verbose": env.get("VERBOSE_LOGGING", "").lower() in ("1", "true", "yes"),
        "quiet_loggers": tuple(env.get("SCOPE_LOG_QUIET_LOGGERS", "").replace(",", " ").split()),
        "plugins": tuple(env.get("SCOPE_PLUGINS", "").split()),
        "second_controller": _policy(env.get("SCOPE_SECOND_CONTROLLER", "takeover")),
    }
    if host := env.get("SCOPE_HOST"):
        found["host"] = host
    if port := env.get("SCOPE_PORT"):
        found["port"] = _port(port)
    return Settings(**(found | {name: value for name, value in flags.items() if value is not None}))


def _path(env: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(env[name]).expanduser() if env.get(name) else default


def _web_address(env: Mapping[str, str], name: str, default: str) -> str:
    text = (env.get(name) or default).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", text):
        raise BadInput(f"{name} is {text!r}; give an address that begins with https://")
    return text


def _hub_token_file(env: Mapping[str, str]) -> Path:
    """Where the hub's own tools keep the token."""
    cache = _path(env, "XDG_CACHE_HOME", Path.home() / ".cache")
    return _path(env, "HF_TOKEN_PATH", _path(env, "HF_HOME", cache / "huggingface") / "token")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise BadInput(f"SCOPE_PORT is {text!r}; give a port number between 0 and 65535")
    return int(text)


def _turn(env: Mapping[str, str]) -> TurnAccount | None:
    """The first provider whose account is complete."""
    for provider, (name, secret) in TURN_VARIABLES.items():
        if env.get(name) and env.get(secret):
            return TurnAccount(provider, env[name], env[secret])
    return None


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
