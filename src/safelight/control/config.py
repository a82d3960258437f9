"""Limits and policies of the controller."""

from dataclasses import dataclass, field
from typing import Final

from safelight.cascade.cascade import Cascade
from safelight.control.liveness import LivenessLimits
from safelight.control.policies import Policies

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 1 << 30
MAX_ATTEMPTS: Final = 3
LOOKAHEAD_ROWS: Final = 4
ORPHAN_WAIT_S: Final = 120.0
MAX_PAUSED_BYTES: Final = 256 << 20


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """Limits and policies of the controller.

    Attributes:
        max_waiting: requests that may wait for a worker.
        max_waiting_per_tenant: requests of one tenant that may wait; None sets no limit.
        tenants_share_queue: whether a tenant may have no more waiting requests, and bytes of input pictures, than the
            queue has room for, so that no tenant fills it alone.
        max_waiting_bytes: bytes of the input pictures of waiting requests; a single request may exceed it.
        max_attempts: attempts of a request, one per lost worker; the last attempt runs alone on its worker.
        lookahead_rows: denoiser rows that a worker gets beyond one call, so that freed rows are filled at once.
        max_paused_bytes: bytes of the latents of all paused rows; no row pauses beyond it.
        orphan_wait_s: how long a request waits while no live worker serves its model.
        cascades: that requests may name in place of a model.
        liveness: when workers are suspected, and when they hang.
        policies: one of each family; each has its own constants.
    """

    max_waiting: int = MAX_WAITING
    max_waiting_per_tenant: int | None = None
    tenants_share_queue: bool = False
    max_waiting_bytes: int = MAX_WAITING_BYTES
    max_attempts: int = MAX_ATTEMPTS
    lookahead_rows: int = LOOKAHEAD_ROWS
    max_paused_bytes: int = MAX_PAUSED_BYTES
    orphan_wait_s: float = ORPHAN_WAIT_S
    cascades: tuple[Cascade, ...] = ()
    liveness: LivenessLimits = field(default_factory=LivenessLimits)
    policies: Policies = field(default_factory=Policies)
