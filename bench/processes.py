"""What a server costs: CPU and memory of its processes, read from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in per cent of one core over the time measured; resident memory at its end, in MiB."""

    server_cpu: float
    worker_cpu: float
    server_mib: float
    worker_mib: float

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.worker_cpu

    @property
    def mib(self) -> float:
        return self.server_mib + self.worker_mib


class CostMeter:
    """From construction to `read()`."""

    def __init__(self, server_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self._workers = self._server.children(recursive=True)
        self._began_s = time.monotonic()
        self._before = [_cpu_s(process) for process in (self._server, *self._workers)]

    def read(self) -> Cost:
        took_s = time.monotonic() - self._began_s
        after = [_cpu_s(process) for process in (self._server, *self._workers)]
        spent = [100 * (b - a) / took_s for a, b in zip(self._before, after, strict=True)]
        memory = [process.memory_info().rss / MIB for process in (self._server, *self._workers)]
        return Cost(spent[0], sum(spent[1:]), memory[0], sum(memory[1:]))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def resident_mib(pid: int) -> float:
    """Of a process and its children, without what multiprocessing's tracker takes."""
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / MIB
