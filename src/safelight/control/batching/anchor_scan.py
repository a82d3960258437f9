"""The rule of SGLang Diffusion's dynamic batching, for comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from safelight.control.batch import QueuedJob, fill_batch
from safelight.control.batching.head_of_line import Key, batch_key
from safelight.control.batching.protocol import of_first_kind
from safelight.profiles.pace import PaceEstimate


def signature(row: QueuedJob) -> tuple[Key, int]:
    """Return what requests of one batch share in SGLang 0.5.23: all of the key, and the steps."""
    return batch_key(row), row.job.level.steps


@dataclass(frozen=True, kw_only=True)
class AnchorScan:
    """The oldest request anchors a batch, and the whole queue is scanned for equal ones; the batch runs to its end.

    No row joins a batch that runs, and nothing bounds how often later requests go before one that fits no batch
    (SGLang Diffusion 0.5.23, `--batching-mode dynamic`).
    """

    name: ClassVar[str] = "anchor-scan"
    sees_queue: ClassVar[bool] = True
    mixes_sizes: ClassVar[bool] = False

    def candidates(self, rows: Sequence[QueuedJob]) -> list[QueuedJob]:
        running = [row for row in rows if row.has_begun]
        if running:
            return of_first_kind(running)
        anchor = signature(rows[0])
        return [row for row in rows if signature(row) == anchor]

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return fill_batch(rows, max_denoiser_rows=max_denoiser_rows)
