"""`[[faults]]`: what goes wrong, when and where."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from safelight.core.errors import nearest
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Factor, Name, NotNegative


class FaultEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault of one worker.

    Attributes:
        kind: the worker dies, hangs, is slow, or cannot be reached.
        worker: such as `gpu-1`: a group's name and a number from 1.
        at_s: seconds after the start.
        for_s: seconds that it lasts; None lasts until the end. A worker that has died starts again at once.
        factor: of slow: how many times as long all work takes.
    """

    kind: Literal["die", "hang", "slow", "partition"]
    worker: Name
    at_s: NotNegative
    for_s: Factor | None = None
    factor: Factor = 2.0


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(FaultEntry)}


def check_faults(faults: Sequence[FaultEntry], workers: Sequence[str]) -> None:
    """Raise BadScenario for faults of workers that do not exist, and for keys that do not count."""
    known = set(workers)
    for number, fault in enumerate(faults):
        for key, kinds in (("for_s", ("hang", "slow", "partition")), ("factor", ("slow",))):
            if fault.kind not in kinds and getattr(fault, key) != _DEFAULTS[key]:
                raise BadScenario(f"does not count for `{fault.kind}`; leave it out.", place=f"faults[{number}].{key}")
        if fault.worker not in known:
            raise BadScenario(
                f"is {fault.worker!r}; {nearest(fault.worker, workers)}", place=f"faults[{number}].worker"
            )
