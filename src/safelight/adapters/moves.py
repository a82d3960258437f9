"""Moves of weights that the residency asks for; the driver executes them in order.

The driver reports the end of loads; evictions take effect at once.
"""

from dataclasses import dataclass

from safelight.core.adapter import AdapterHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadToHost:
    """Read these weights from disk into host memory."""

    handle: AdapterHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadToDevice:
    """Copy these weights from host memory to the device, a LoRA to any free pages; they stay in host memory too."""

    handle: AdapterHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictFromDevice:
    """Free the pages or the slot of these weights on the device; they stay in host memory."""

    handle: AdapterHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictFromHost:
    """Free these weights in host memory; they are not on the device."""

    handle: AdapterHandle


Move = LoadToHost | LoadToDevice | EvictFromDevice | EvictFromHost
