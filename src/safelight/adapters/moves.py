"""Moves of weights that the residency asks for; the driver executes them in order.

The driver reports the end of loads; evictions take effect at once.
"""

import msgspec

from safelight.core.adapter import AdapterHandle


class LoadToHost(msgspec.Struct, frozen=True, kw_only=True):
    """Read these weights from disk into host memory."""

    handle: AdapterHandle


class LoadToDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Copy these weights from host memory to the device, a LoRA to any free pages; they stay in host memory too."""

    handle: AdapterHandle


class EvictFromDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Free the pages or the slot of these weights on the device; they stay in host memory."""

    handle: AdapterHandle


class EvictFromHost(msgspec.Struct, frozen=True, kw_only=True):
    """Free these weights in host memory; they are not on the device."""

    handle: AdapterHandle


Move = LoadToHost | LoadToDevice | EvictFromDevice | EvictFromHost
