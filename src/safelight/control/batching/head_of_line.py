"""The rule of vLLM-Omni's step scheduler, for comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

from safelight.control.batch import QueuedJob, fill_batch
from safelight.core.adapter import Composition
from safelight.profiles.pace import PaceEstimate

Key = tuple[str, int, int, float, str, Composition]


def batch_key(row: QueuedJob) -> Key:
    """Return what rows of one call share in vLLM-Omni 0.30: model, size, guidance, sampler, and LoRAs with scales."""
    level = row.job.level
    return (*row.kind, level.guidance_scale, level.sampler, row.composition)


@dataclass(frozen=True, kw_only=True)
class HeadOfLine:
    """First come, first served: rows join while the oldest waiting one has the key of those that run.

    The first one with another key stops all behind it until the running rows have ended (vLLM-Omni 0.30, step
    execution; described as a limitation there).
    """

    name: ClassVar[str] = "head-of-line"
    sees_queue: ClassVar[bool] = True
    mixes_sizes: ClassVar[bool] = False

    def candidates(self, rows: Sequence[QueuedJob]) -> list[QueuedJob]:
        running = [row for row in rows if row.has_begun]
        waiting = [row for row in rows if not row.has_begun]
        key = batch_key((running or waiting)[0])
        joining = takewhile(lambda row: batch_key(row) == key, waiting)
        return [*(row for row in running if batch_key(row) == key), *joining]

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return fill_batch(rows, max_denoiser_rows=max_denoiser_rows)
