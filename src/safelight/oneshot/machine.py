"""What this machine is called."""

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

_CPU_INFO: Final = Path("/proc/cpuinfo")


def device_name(*, threads: int, workers: int) -> str:
    """Return the processor, and what of it is used."""
    used = f"{os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)} a worker"
    side_by_side = f", {workers} workers side by side" if workers > 1 else ""
    return f"{_processor()} ({used}{side_by_side})"


def _processor() -> str:
    with suppress(OSError):
        for line in _CPU_INFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
