"""How full a denoiser call is."""

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
        """Return some of `rows`, of one model and size, in their order; `rows` come in order of their places.

        The first of `rows`, of which there is at least one, is always among them, even where it does not fit alone.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class DeadlineBatching:
    """As many as fit, as long as the longer tick makes no deadline missed that could be met."""

    name: ClassVar[str] = "deadline"

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return choose_batch(rows, now=now, paces=paces, max_denoiser_rows=max_denoiser_rows)


@dataclass(frozen=True, kw_only=True)
class FullBatching:
    """As many as fit, whatever their deadlines."""

    name: ClassVar[str] = "full"

    def choose(
        self, rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
    ) -> list[QueuedJob]:
        return fill_batch(rows, max_denoiser_rows=max_denoiser_rows)


BATCHING_POLICIES: Final[tuple[BatchingPolicy, ...]] = (DeadlineBatching(), FullBatching())
