"""What the machine has, found without importing torch."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Literal

from scope.catalog import EDGES

QUERY = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
QUERY_LIMIT_S = 3.0
KEPT_S = 10.0
Device = Literal["cuda", "mps", "cpu"]


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    total_mb: int
    free_mb: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a way in or out can be used here; if not, why and what to do."""

    available: bool
    reason: str | None = None
    install_hint: str | None = None


@dataclass
class Hardware:
    """Asks the driver at most every few seconds; never raises."""

    ask: Callable[[], str] = lambda: _nvidia_smi()
    _gpu: Gpu | None = None
    _asked_s: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def gpu(self) -> Gpu | None:
        """The first NVIDIA card; None without one."""
        with self._lock:
            if time.monotonic() - self._asked_s > KEPT_S:
                self._gpu = parse_gpu(self.ask())
                self._asked_s = time.monotonic()
            return self._gpu

    def device(self) -> Device:
        if self.gpu() is not None:
            return "cuda"
        return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def _nvidia_smi() -> str:
    tool = which("nvidia-smi")
    if tool is None:
        return ""
    try:
        return subprocess.run([tool, *QUERY], capture_output=True, text=True, timeout=QUERY_LIMIT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def parse_gpu(text: str) -> Gpu | None:
    """The first line that nvidia-smi wrote; None when it is not what we asked for."""
    parts = [part.strip() for part in text.partition("\n")[0].rsplit(",", 2)]
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        return None
    return Gpu(parts[0], int(parts[1]), int(parts[2]))


def spout() -> Reach:
    if sys.platform != "win32":
        return Reach(False, "Spout exists only on Windows.")
    if find_spec("SpoutGL") is None:
        return Reach(False, "The package SpoutGL is not installed.", "pip install SpoutGL")
    return _built_in("spout")


def syphon() -> Reach:
    if sys.platform != "darwin":
        return Reach(False, "Syphon exists only on macOS.")
    if find_spec("syphon") is None:
        return Reach(False, "The package syphon-python is not installed.", "pip install syphon-python")
    return _built_in("syphon")


def ndi() -> Reach:
    return _built_in("ndi")


def video_file() -> Reach:
    return _built_in("video_file")


def _built_in(edge: str) -> Reach:
    if edge not in EDGES:
        return Reach(False, "This version of Scope does not have it yet.")
    return Reach(True)


def cgroup_memory_bytes(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The memory limit of the container we run in; None without one."""
    try:
        text = (root / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
