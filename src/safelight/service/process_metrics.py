"""Metrics of processes: memory, open files and processor time of the server, memory of its workers, the version."""

import contextlib
import os
import platform
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from safelight.core.pool import WorkerPool
from safelight.core.version import __version__


def register_process_metrics(registry: CollectorRegistry, pool: WorkerPool) -> None:
    """Add the metrics of the server's process and of the workers in `pool`; memory is that of Linux, else 0."""
    ProcessCollector(registry=registry)
    build = Gauge(
        "safelight_build_info", "1; the labels say which version runs.", ["version", "python"], registry=registry
    )
    build.labels(__version__, platform.python_version()).set(1)
    workers = Gauge(
        "safelight_workers_resident_memory_bytes",
        "Resident memory of all worker processes; what they share is counted for each.",
        registry=registry,
    )
    workers.set_function(lambda: sum(_resident_bytes(each.pid) for each in pool.members if each.pid is not None))


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended, or this is not Linux
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
