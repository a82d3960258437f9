"""What loads cost: an adapter that is not on the device comes from the host's memory, or from afar."""

from collections.abc import Mapping
from dataclasses import dataclass

from safelight.traces.schema import AdapterColumn


@dataclass(frozen=True, kw_only=True)
class LoadTimes:
    """How long the device waits for one adapter.

    Attributes:
        host_s: from the host's memory to the device and into the model.
        far_s: from a disk or a store to the host, and on to the device.
    """

    host_s: float
    far_s: float


LOAD_TIMES: Mapping[AdapterColumn, LoadTimes] = {
    "loras": LoadTimes(host_s=0.56, far_s=4.378),
    "controlnets": LoadTimes(host_s=0.276, far_s=3.884),
}
"""From the host: a LoRA of 325 MiB read in 0.47 s and patched in 0.09 s, as in the run logs published with Katz, and a
ControlNet copied as in the profile published with LegoDiffusion, both on H800. From afar: medians of GenTD26.
"""
