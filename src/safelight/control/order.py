"""Who goes first: earliest due first, with a bound on how long anyone can be passed over."""

from typing import Final

from safelight.core.request import ImageRequest

PATIENCE_S: Final = 30.0
"""A request is treated as due at most so many seconds after its arrival."""

Place = tuple[float, float, int]
"""A place in the queue: urgency, time of arrival, and a sequence number that no other request has."""


def place_of(request: ImageRequest, sequence: int) -> Place:
    """Return the place of `request`; smaller goes first.

    Whoever arrives `PATIENCE_S` later comes behind, whatever its deadline, so nobody waits for ever.
    """
    return (min(request.due_s, request.arrived_s + PATIENCE_S), request.arrived_s, sequence)
