"""What this machine can do, and what to do about what is missing."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from scope import catalog
from scope.server.hardware import Hardware, cgroup_memory_bytes
from scope.server.page import WEB_DIR
from scope.settings import GIB, Settings

State = Literal["good", "note", "bad"]  # works; works with less; must be mended
SIGNS: dict[State, str] = {"good": "ok", "note": "--", "bad": "!!"}
ENOUGH_MEMORY_GIB = 4
VRAM_GIB = {"small": 8, "wan": 20}
OPTIONAL = {
    "tokenizers": ("prompts of the Wan2.1 family", "pip install 'scope-live[text]'"),
    "mido": ("MIDI in", "pip install mido python-rtmidi"),
    "pythonosc": ("OSC in", "pip install python-osc"),
    "sounddevice": ("audio in", "pip install sounddevice"),
    "SpoutGL": ("Spout (Windows)", "pip install SpoutGL"),
    "syphon": ("Syphon (macOS)", "pip install syphon-python"),
}


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Check]:
    """Everything that decides what can be done here. Takes a second or two."""
    looks: list[Callable[[], Check]] = [
        _python,
        _cores,
        _memory,
        _gpu,
        _torch,
        _attention,
        _encoders,
        _page,
        lambda: _folder("data folder", settings.base_dir),
        lambda: _folder("models folder", settings.models_dir),
        lambda: _folder("assets folder", settings.assets_dir),
        lambda: _folder("logs folder", settings.logs_dir),
        lambda: _port(settings),
        lambda: _ice(settings),
        lambda: _access(settings),
    ]
    return [look() for look in looks] + list(_optional())


def table(checks: list[Check]) -> str:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{SIGNS[check.state]}  {check.name:{width}}  {check.found}")
        if check.advice:
            lines.append(f"    {'':{width}}  → {check.advice}")
    return "\n".join(lines)


def _python() -> Check:
    return Check("Python", "good", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores >= 2:
        return Check("processor", "good", f"{cores} cores")
    return Check("processor", "note", "1 core", "One core encodes and generates in turns; expect fewer frames.")


def _memory() -> Check:
    import psutil

    total = min(psutil.virtual_memory().total, cgroup_memory_bytes() or sys.maxsize)
    found = f"{total / GIB:.1f} GiB"
    if total >= ENOUGH_MEMORY_GIB * GIB:
        return Check("memory", "good", found)
    return Check("memory", "note", found, f"Below {ENOUGH_MEMORY_GIB} GiB only the small pipelines fit.")


def _gpu() -> Check:
    hardware = Hardware()
    gpu = hardware.gpu()
    if gpu is not None:
        found = f"{gpu.name}, {gpu.total_mb / 1024:.0f} GiB, {gpu.free_mb / 1024:.0f} GiB free"
        if gpu.total_mb >= VRAM_GIB["wan"] * 1024:
            return Check("GPU", "good", found)
        return Check("GPU", "note", found, f"The 1.3B models are made for {VRAM_GIB['wan']} GiB; use fp8 or smaller pictures.")
    if hardware.device() == "mps":
        return Check("GPU", "note", "Apple GPU", "The CUDA models do not run here; the small ones do.")
    return Check(
        "GPU", "note", "none", "Pipelines without a GPU requirement run; for the others use a machine with an NVIDIA card."
    )


def _torch() -> Check:
    try:
        return Check("torch", "good", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        return Check("torch", "bad", "not installed", "Run `pip install .` again in this environment.")


def _attention() -> Check:
    """Imports torch, which takes seconds; only the doctor pays."""
    kernels = catalog.resolve("scope.models.attention:available")()
    ready = [name for name, word in kernels.items() if word.startswith("ready")]
    missing = "; ".join(f"{name}: {word}" for name, word in kernels.items() if name not in ready)
    return Check("attention", "good", ", ".join(ready) + (f" ({missing})" if missing else ""))


def _encoders() -> Check:
    if find_spec("av") is None or find_spec("aiortc") is None:
        return Check("video codecs", "bad", "PyAV or aiortc is not installed", "Run `pip install .` again in this environment.")
    import av.codec  # costs a moment; only the doctor pays

    names = {"VP8": "libvpx", "H.264": "libx264", "H.264 on NVIDIA": "h264_nvenc", "H.264 on Apple": "h264_videotoolbox"}
    found = [shown for shown, codec in names.items() if codec in av.codec.codecs_available]
    if {"VP8", "H.264"} <= set(found):
        return Check("video codecs", "good", ", ".join(found))
    advice = "Install PyAV from its wheel: pip install --force-reinstall --only-binary av av."
    return Check("video codecs", "bad", ", ".join(found) or "none", advice)


def _page() -> Check:
    if (WEB_DIR / "index.html").is_file():
        return Check("web page", "good", "built")
    return Check("web page", "note", "not built", "Run `make install` in the checkout; the API works without it.")


def _folder(name: str, path: Path) -> Check:
    there = next((parent for parent in (path, *path.parents) if parent.exists()), path)
    if os.access(there, os.W_OK) and there.is_dir():
        return Check(name, "good", str(path))
    advice = f"{there} is not a folder that may be written; set DAYDREAM_SCOPE_DIR to one that may."
    return Check(name, "bad", str(path), advice)


def _port(settings: Settings) -> Check:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = "Stop what runs there (perhaps Scope itself), or use --port."
            return Check("port", "note", f"{settings.port} cannot be used: {error.strerror}", advice)
    return Check("port", "good", f"{settings.port} is free")


def _ice(settings: Settings) -> Check:
    if settings.turn is not None:
        return Check("STUN/TURN", "good", f"credentials from {settings.turn.provider}")
    if not settings.ice_servers:
        advice = "Enough on this machine and network; for viewers across the internet set SCOPE_ICE_SERVERS to a TURN server."
        return Check("STUN/TURN", "note", "none configured", advice)
    return Check("STUN/TURN", "good", f"{len(settings.ice_servers)} configured")


def _access(settings: Settings) -> Check:
    if settings.loopback:
        return Check("access", "good", "this machine only")
    if settings.insecure and not settings.token:
        return Check(
            "access", "note", f"{settings.host}, without a token", "Anyone who can reach it owns it; leave out --insecure."
        )
    return Check("access", "good", f"{settings.host}, with a token")


def _optional() -> Iterator[Check]:
    for module, (name, command) in OPTIONAL.items():
        wrong_system = (module == "SpoutGL" and sys.platform != "win32") or (module == "syphon" and sys.platform != "darwin")
        if wrong_system:
            continue
        there = find_spec(module) is not None
        yield Check(name, "good" if there else "note", "installed" if there else "not installed", "" if there else command)
