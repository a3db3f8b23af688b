"""CPU time and memory of the services and of our processes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psutil

from worker.local.services import Services


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds so far."""

    worker: float
    postgres: float
    kafka: float

    def since(self, before: Cpu, commands: int) -> dict[str, float]:
        """µs a command since then."""
        return {
            name: round((getattr(self, name) - getattr(before, name)) / commands * 1e6, 1)
            for name in ("worker", "postgres", "kafka")
        }


def cpu(services: Services, worker_pid: int) -> Cpu:
    """Of the worker, of PostgreSQL with all its sessions, of Kafka."""
    return Cpu(_seconds(worker_pid), _seconds(services.postgres.pid, tree=True), _seconds(services.kafka.pid))


def rss_mib(pid: int) -> float:
    """Resident memory, MiB."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def _seconds(pid: int, *, tree: bool = False) -> float:
    process = psutil.Process(pid)
    processes = [process, *(process.children(recursive=True) if tree else [])]
    total = 0.0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
            if one is process and tree:
                total += times.children_user + times.children_system
    return total
