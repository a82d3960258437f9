"""How long it takes to load adapters."""

import math
from typing import Final

FIRST_BYTES_PER_S: Final = 200e6
"""Assumed until a load was observed: a slow disk."""

LEARNING_RATE: Final = 0.2


class LoadEstimate:
    """Seconds to read and copy an adapter by its bytes, learned from the loads of one worker.

    Attributes:
        s_per_byte: the present estimate.
    """

    def __init__(self) -> None:
        self.s_per_byte = 1 / FIRST_BYTES_PER_S

    def seconds(self, weights_bytes: int) -> float:
        """Return the expected seconds of a load of `weights_bytes` bytes."""
        return weights_bytes * self.s_per_byte

    def observe(self, weights_bytes: int, seconds: float) -> None:
        """Learn from one load; durations that cannot be are ignored."""
        if weights_bytes > 0 and 0 <= seconds < math.inf:
            self.s_per_byte += LEARNING_RATE * (seconds / weights_bytes - self.s_per_byte)
