"""The order policies; tests of the family pick up new ones."""

from typing import Final

from safelight.control.order.arrival import ArrivalOrder
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.least_laxity import LeastLaxity
from safelight.control.order.protocol import OrderPolicy
from safelight.control.order.shortest_remaining import ShortestRemaining

ORDER_POLICIES: Final[tuple[OrderPolicy, ...]] = (
    DeadlineOrder(),
    ArrivalOrder(),
    LeastLaxity(),
    ShortestRemaining(),
)
"""The first one is the default."""
