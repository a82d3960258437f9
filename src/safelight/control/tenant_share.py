"""How much of the queue one tenant may have."""

from safelight.control.config import ControlConfig
from safelight.control.waiting import WaitingQueue
from safelight.core.request import ImageRequest


def exceeds_share(
    request: ImageRequest, waiting: WaitingQueue, config: ControlConfig, *, is_queued: bool = False
) -> bool:
    """Whether others of the tenant that wait are as many as it may have, so that `request` is one too many.

    With `tenants_share_queue` it may have as many as there are free places: one tenant alone gets half of the queue,
    two get a third each, and there is always a place for another one (dynamic thresholds with a factor of 1; Choudhury
    and Hahne, IEEE/ACM Transactions on Networking, 1998). The same holds for bytes of input pictures; a single request
    may exceed these.
    """
    own = waiting.of_tenant[request.tenant] - is_queued
    if config.max_waiting_per_tenant is not None and own >= config.max_waiting_per_tenant:
        return True
    if not config.tenants_share_queue:
        return False
    free = config.max_waiting - (len(waiting) - is_queued)
    queued_bytes = request.held_bytes if is_queued else 0
    own_bytes = waiting.held_bytes_of_tenant[request.tenant] - queued_bytes
    free_bytes = config.max_waiting_bytes - (waiting.held_bytes - queued_bytes)
    exceeds_bytes = own_bytes > 0 and request.held_bytes > 0 and own_bytes + request.held_bytes > free_bytes
    return own >= free or exceeds_bytes
