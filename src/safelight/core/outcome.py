"""What became of a request: one record each, served or simulated alike."""

from typing import Literal

import msgspec

from safelight.core.request import ImageRequest


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one request ended.

    Attributes:
        reason: why there is no picture, as a short stable name; empty when there is one.
        worker: that made the picture, or had it last.
        queue_s: from arrival to the first tick of the successful attempt.
        total_s: from arrival to the end.
        retries: attempts lost to workers that died.
        steps_without_loras: steps of the picture that ran before its LoRAs were there.
    """

    request: ImageRequest
    status: Literal["finished", "failed", "cancelled", "rejected"]
    reason: str = ""
    worker: str | None = None
    queue_s: float = 0.0
    compute_s: float = 0.0
    total_s: float = 0.0
    retries: int = 0
    steps_without_loras: int = 0

    @property
    def met_deadline(self) -> bool:
        """Whether the picture was ready in time; one without a deadline is in time when it is finished."""
        return self.status == "finished" and self.request.arrived_s + self.total_s <= self.request.due_s
