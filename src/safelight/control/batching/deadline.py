"""Full calls that keep deadlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from safelight.control.batch import QueuedJob, choose_batch
from safelight.control.batching.protocol import of_first_kind
from safelight.profiles.pace import PaceEstimate


@dataclass(frozen=True, kw_only=True)
class DeadlineBatching:
    """As many as fit, unless the longer tick makes a row miss a deadline that it could meet."""

    name: ClassVar[str] = "deadline"
    sees_queue: ClassVar[bool] = False
    mixes_sizes: ClassVar[bool] = True

    def candidates(self, rows: Sequence[QueuedJob]) -> list[QueuedJob]:
        return of_first_kind(rows)

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return choose_batch(rows, now=now, paces=paces, max_denoiser_rows=max_denoiser_rows)
