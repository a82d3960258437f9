"""Batching policies: which rows share a denoiser call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from safelight.control.batch import QueuedJob, choose_batch, fill_batch
from safelight.profiles.pace import PaceEstimate


class BatchingPolicy(Protocol):
    """Chooses the jobs of one tick."""

    @property
    def name(self) -> str: ...

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        """Return some of `rows`, of one model and size, in their order; `rows` are in order of their places, not empty.

        The first of `rows` is always among them, even if it does not fit alone.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class DeadlineBatching:
    """As many as fit, unless the longer tick makes a row miss a deadline that it could meet."""

    name: ClassVar[str] = "deadline"

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return choose_batch(rows, now=now, paces=paces, max_denoiser_rows=max_denoiser_rows)


@dataclass(frozen=True, kw_only=True)
class FullBatching:
    """As many as fit, regardless of deadlines."""

    name: ClassVar[str] = "full"

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return fill_batch(rows, max_denoiser_rows=max_denoiser_rows)


BATCHING_POLICIES: Final[tuple[BatchingPolicy, ...]] = (DeadlineBatching(), FullBatching())
