"""`[policies]`: named choices of policies that are simulated side by side, and `[limits]` of the controller."""

from collections.abc import Mapping

import msgspec

from safelight.control.config import LOOKAHEAD_ROWS, MAX_ATTEMPTS, MAX_WAITING, ORPHAN_WAIT_S
from safelight.control.policies import policies_from
from safelight.core.errors import InvalidParameter
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Count, Factor

Choice = str | tuple[str, ...]
"""A preset or `FAMILY=NAME`, or several, as `serve --policy` takes them."""

DEFAULT_POLICIES: Mapping[str, Choice] = {"default": ()}


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the controller, as of `safelight serve`.

    Attributes:
        max_waiting: requests that may wait for a worker; more are refused.
        max_attempts: attempts of a request, one for each worker that it loses.
        lookahead_rows: denoiser rows that a worker gets beyond one call.
        orphan_wait_s: seconds that a request waits while no live worker serves its model.
    """

    max_waiting: Count = MAX_WAITING
    max_attempts: Count = MAX_ATTEMPTS
    lookahead_rows: Count = LOOKAHEAD_ROWS
    orphan_wait_s: Factor = ORPHAN_WAIT_S


def choices_of(choice: Choice) -> tuple[str, ...]:
    """Return a choice as a list."""
    return (choice,) if isinstance(choice, str) else choice


def check_policies(policies: Mapping[str, Choice]) -> None:
    """Raise BadScenario for policies that do not exist."""
    if not policies:
        raise BadScenario("is empty; name at least one choice.", place="policies")
    for name, choice in policies.items():
        try:
            policies_from(choices_of(choice))
        except InvalidParameter as error:
            raise BadScenario(f": {error}", place=f"policies.{name}") from error
