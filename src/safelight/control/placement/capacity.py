"""How many adapters workers can hold."""

from collections.abc import Iterable, Mapping
from typing import Final

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle, AdapterSpec

FREE_SHARE: Final = 0.25
"""Share of a device's slots that placement leaves to adapters that come with requests."""


def capacity_of(worker: WorkerState, *, free_share: float = FREE_SHARE) -> AdapterCapacity:
    """Return what a worker may hold of its placement; nothing if it does not tell its capacity."""
    return AdapterCapacity(
        host_bytes=int(worker.ready.adapter_bytes * (1 - free_share)),
        device_ranks=int(worker.ready.device_ranks * (1 - free_share)),
        device_controlnets=worker.ready.device_controlnets,
    )


def fitting(
    handles: Iterable[AdapterHandle], specs: Mapping[AdapterHandle, AdapterSpec], capacity: AdapterCapacity
) -> tuple[AdapterHandle, ...]:
    """Return the adapters that fit beside those before them."""
    kept: list[AdapterHandle] = []
    for handle in handles:
        if capacity.holds([specs[each] for each in (*kept, handle)]):
            kept.append(handle)
    return tuple(kept)
