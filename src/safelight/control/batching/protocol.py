"""What a batching policy must do."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from safelight.control.batch import QueuedJob
from safelight.profiles.pace import PaceEstimate


class BatchingPolicy(Protocol):
    """Chooses the jobs of one tick, in two steps: those that may run, and of these the ones that do.

    Attributes:
        sees_queue: whether it chooses among all waiting requests, so that workers get all requests at once.
        mixes_sizes: whether rows of other sizes may join a call where the model allows it and it gains; by default not.
    """

    @property
    def name(self) -> str: ...

    @property
    def sees_queue(self) -> bool: ...

    @property
    def mixes_sizes(self) -> bool: ...

    def candidates(self, rows: Sequence[QueuedJob]) -> list[QueuedJob]:
        """Return those of `rows`, which are in order of their places and not empty, that may run in the next tick.

        They are of one model and size, and in the same order.
        """
        ...

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        """Return some of `rows`, which are candidates that the adapter mode lets run, in their order.

        The first of `rows` is always among them, even if it does not fit alone.
        """
        ...


def of_first_kind(rows: Sequence[QueuedJob]) -> list[QueuedJob]:
    """Return the rows of the model and size of the first one."""
    kind = rows[0].kind
    return [row for row in rows if row.kind == kind]
