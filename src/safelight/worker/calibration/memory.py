"""The memory that a piece of work takes on a device."""

import ctypes
import ctypes.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
"""What Linux takes to set the peak of a process to what it uses now (`man 5 proc`)."""


def bytes_of(work: Callable[[], object], *, device: torch.device) -> int:
    """Run `work`, and return by how many bytes the memory in use grew meanwhile; 0 where that cannot be measured.

    On a GPU it is what torch has allocated there. On a CPU it is the process's own memory, on Linux only.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return max(0, torch.cuda.max_memory_allocated(device) - before)
    before = _reset_process_peak()
    work()
    return max(0, _process_bytes("VmHWM") - before) if before else 0


def used_bytes(device: torch.device) -> int | None:
    """Return the bytes that torch has allocated on a GPU; None on a CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else None


def _reset_process_peak() -> int:
    """Give unused memory back, set the process's peak to what is left, and return it; 0 if that cannot be done."""
    try:
        _trim()
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
        return _process_bytes("VmRSS")
    except OSError:
        return 0


def _trim() -> None:
    name = ctypes.util.find_library("c")
    if name is not None and hasattr(library := ctypes.CDLL(name), "malloc_trim"):
        library.malloc_trim(0)


def _process_bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
