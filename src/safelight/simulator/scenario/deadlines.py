"""`[deadlines]`: by when pictures must be ready."""

import msgspec

from safelight.core.request import OnDeadline
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Factor


class Deadlines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Deadlines of requests that have none of their own; without either number there are none.

    Attributes:
        seconds: after arrival.
        solo_times: multiples of the time that the request takes alone on the fastest worker, with its LoRAs,
            ControlNets and start picture, without loads of adapters.
        on_deadline: whether late pictures are finished, or given up.
    """

    seconds: Factor | None = None
    solo_times: Factor | None = None
    on_deadline: OnDeadline = "finish"


def check_deadlines(deadlines: Deadlines) -> None:
    """Raise BadScenario for deadlines that are given in two ways."""
    if deadlines.seconds is not None and deadlines.solo_times is not None:
        raise BadScenario("has `seconds` and `solo_times`; leave one of them.", place="deadlines")
