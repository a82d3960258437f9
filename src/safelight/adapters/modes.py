"""The adapter modes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from safelight.adapters.bounded_wait import MAX_WAIT_S, BoundedWait
from safelight.adapters.dlora import DloraCredit
from safelight.adapters.dlora_measured import DloraMeasured
from safelight.adapters.fixed import AlwaysCorrected, AlwaysMerged, AlwaysUnmerged
from safelight.adapters.mode import ModePolicy
from safelight.adapters.payback import Payback
from safelight.core.errors import InvalidParameter, nearest


@dataclass(frozen=True, kw_only=True)
class AdapterMode:
    """A way to choose the mode of each tick.

    Attributes:
        make: returns the policy of one queue, which may have state.
        max_wait_s: no row of a queue waits longer because of a mode.
    """

    name: str
    make: Callable[[], ModePolicy]
    max_wait_s: float = MAX_WAIT_S

    def start(self) -> BoundedWait:
        """Return a policy for one queue, with the bound on the wait of a row."""
        return BoundedWait(self.make(), max_wait_s=self.max_wait_s)


ADAPTER_MODES: Final = (
    AdapterMode(name=Payback.name, make=Payback),
    AdapterMode(name=AlwaysUnmerged.name, make=AlwaysUnmerged),
    AdapterMode(name=AlwaysMerged.name, make=AlwaysMerged),
    AdapterMode(name=AlwaysCorrected.name, make=AlwaysCorrected),
    AdapterMode(name=DloraCredit.name, make=DloraCredit),
    AdapterMode(name=DloraMeasured.name, make=DloraMeasured),
)

ADAPTER_MODE_NAMES: Final = tuple(mode.name for mode in ADAPTER_MODES)
DEFAULT_ADAPTER_MODE: Final = ADAPTER_MODES[0]


def adapter_mode_named(name: str) -> AdapterMode:
    """Return the adapter mode of this name.

    Raises:
        InvalidParameter: if there is none.
    """
    found = next((mode for mode in ADAPTER_MODES if mode.name == name), None)
    if found is None:
        raise InvalidParameter("adapter-mode", name, nearest(name, ADAPTER_MODE_NAMES).rstrip("."))
    return found
