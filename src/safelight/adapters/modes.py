"""All policies for the mode of a tick."""

from collections.abc import Callable
from typing import Final

from safelight.adapters.dlora import DloraCredit
from safelight.adapters.fixed import AlwaysCorrected, AlwaysMerged, AlwaysUnmerged
from safelight.adapters.mode import ModePolicy
from safelight.adapters.patience import MAX_WAIT_S, Patient
from safelight.adapters.payback import Payback
from safelight.core.errors import InvalidParameter, nearest

POLICIES: Final[tuple[Callable[[], ModePolicy], ...]] = (
    Payback,
    AlwaysUnmerged,
    AlwaysMerged,
    AlwaysCorrected,
    DloraCredit,
)

POLICY_NAMES: Final = tuple(make().name for make in POLICIES)
DEFAULT_POLICY: Final = Payback.name


def policy_named(name: str, *, max_wait_s: float = MAX_WAIT_S) -> Patient:
    """Return a new policy of this name, under a bound on any row's wait.

    Raises:
        InvalidParameter: if there is none.
    """
    policies = {policy.name: policy for policy in (make() for make in POLICIES)}
    if name not in policies:
        raise InvalidParameter("adapter mode policy", name, nearest(name, tuple(policies)).rstrip("."))
    return Patient(policies[name], max_wait_s=max_wait_s)
