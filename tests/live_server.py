"""A real server in a process of its own, for tests and benchmarks that talk to it as clients do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil

START_S, STOP_S = 30.0, 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LiveServer:
    """`scope serve` on a free loopback port, with its files under `home`."""

    def __init__(self, home: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._flags = flags
        self._env = os.environ | {"DAYDREAM_SCOPE_DIR": str(home)} | (env or {})
        self._log = home / "server.out"
        self._process: subprocess.Popen[bytes] | None = None
        self.start_s = 0.0
        self.http = httpx2.Client(base_url=self.base_url, timeout=20)

    def __enter__(self) -> LiveServer:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        begun_s = time.monotonic()
        command = [sys.executable, "-m", "scope", "serve", "--no-browser", "--port", str(self.port), *self._flags]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log, cwd=Path(__file__).parent.parent)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - begun_s > START_S:
                raise RuntimeError(f"the server did not start:\n{self.output()}")
            time.sleep(0.01)
        self.start_s = time.monotonic() - begun_s

    def _answers(self) -> bool:
        try:
            return self.http.get("/health").status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self) -> int:
        """SIGTERM, as a supervisor would; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._process = None

    def worker_pids(self) -> list[int]:
        """Worker processes, without multiprocessing's own tracker."""
        children = psutil.Process(self.pid).children(recursive=True)
        return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]

    def load(self, *pipelines: str, **load_params: Any) -> None:
        """Load a chain and wait for it."""
        body = {"pipelines": [{"node_id": name, "pipeline_id": name, "load_params": load_params} for name in pipelines]}
        answer = self.http.post("/api/v1/pipeline/load", json=body)
        assert answer.status_code == 200, answer.text
        self.wait_loaded()

    def wait_loaded(self, timeout_s: float = 30.0) -> dict[str, Any]:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            status: dict[str, Any] = self.http.get("/api/v1/pipeline/status").json()
            if status["status"] != "loading":
                return status
            time.sleep(0.02)
        raise TimeoutError("still loading")
