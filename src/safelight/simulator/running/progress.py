"""What is said of a run while it goes on."""

from collections.abc import Callable

import msgspec


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is.

    Attributes:
        number: of the run in its plan, from 0.
        share: of its requests that have arrived; 1 when it is over.
        now_s: virtual time.
        ended: requests that have ended.
    """

    number: int
    share: float
    now_s: float
    ended: int


OnProgress = Callable[[RunProgress], None]
