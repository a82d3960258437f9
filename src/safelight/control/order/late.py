"""The places of requests that can no longer be in time."""

import msgspec

from safelight.control.order.protocol import OrderPolicy, Place, weighs
from safelight.core.request import ImageRequest


def late_place(order: OrderPolicy, request: ImageRequest, sequence: int) -> Place:
    """Return the place of a request that can no longer meet its deadline.

    It is that of a request without a deadline which arrives when this one is due. So it goes behind all that can be in
    time, and those that arrive more than a patience after it was due go behind it.
    """
    if order.patience_s <= 0 or request.deadline_s is None:
        return order.place(request, sequence)
    late = msgspec.structs.replace(request, deadline_s=None, arrived_s=request.due_s)
    if not weighs(order):
        return order.place(late, sequence)
    return order.place(late, sequence, service_s=order.patience_s)
