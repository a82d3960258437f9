"""Full calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from safelight.control.batch import QueuedJob, fill_batch
from safelight.control.batching.protocol import of_first_kind
from safelight.profiles.pace import PaceEstimate


@dataclass(frozen=True, kw_only=True)
class FullBatching:
    """As many as fit, regardless of deadlines."""

    name: ClassVar[str] = "full"
    sees_queue: ClassVar[bool] = False
    mixes_sizes: ClassVar[bool] = True

    def candidates(self, rows: Sequence[QueuedJob]) -> list[QueuedJob]:
        return of_first_kind(rows)

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return fill_batch(rows, max_denoiser_rows=max_denoiser_rows)
