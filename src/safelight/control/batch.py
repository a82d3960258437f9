"""Which jobs share the next tick."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safelight.control.order.protocol import Place
from safelight.core.adapter import NO_ADAPTERS, Composition
from safelight.core.job import Job
from safelight.profiles.pace import PaceEstimate

Kind = tuple[str, int, int]
"""Model, width and height: what rows of one tick share."""


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A job that waits for its next tick.

    Attributes:
        grace_left: how many more steps it may run without its LoRAs; None once they are loaded.
    """

    job: Job
    place: Place
    steps_left: int
    denoiser_rows: int
    kind: Kind
    has_begun: bool = False
    grace_left: int | None = None

    @classmethod
    def of(cls, job: Job, *, place: Place, steps_run: int = 0, has_begun: bool = False) -> "QueuedJob":
        """Return `job` after `steps_run` of its steps."""
        return cls(
            job=job,
            place=place,
            steps_left=job.level.steps_to_run - steps_run,
            denoiser_rows=job.level.denoiser_rows,
            kind=job.kind,
            has_begun=has_begun,
        )

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def is_bare(self) -> bool:
        """Whether its LoRAs are not loaded yet."""
        return self.grace_left is not None

    @property
    def is_held_back(self) -> bool:
        """Whether it has to wait for its LoRAs."""
        return self.grace_left == 0

    @property
    def composition(self) -> Composition:
        """The composition of its next step."""
        return NO_ADAPTERS if self.is_bare else self.job.composition


def place_of(queued: QueuedJob) -> Place:
    """Return the place of a queued job, as a key to sort by."""
    return queued.place


def choose_batch(
    rows: Sequence[QueuedJob], *, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int
) -> list[QueuedJob]:
    """Return the jobs of the next tick, most urgent first; `rows` are in order of their places and not empty.

    The most urgent one determines model and size, and is always included. Others are added in order while they fit into
    the call, unless the longer tick makes an included one miss a deadline that it can still meet.
    """
    first = rows[0]
    model, width, height = first.kind
    pace = paces[model]
    decode_s = pace.profile.decoding_s(width=width, height=height)
    batch: list[QueuedJob] = []
    taken, limit_s = 0, math.inf
    for row in rows:
        if row.kind != first.kind or (batch and taken + row.denoiser_rows > max_denoiser_rows):
            continue
        tick_s = pace.tick_s(taken + row.denoiser_rows, width=width, height=height)
        if batch and tick_s > limit_s:
            continue
        batch.append(row)
        taken += row.denoiser_rows
        affordable_s = (row.job.request.due_s - decode_s - now) / row.steps_left
        if affordable_s >= tick_s:
            limit_s = min(limit_s, affordable_s)
    return batch


def fill_batch(rows: Sequence[QueuedJob], *, max_denoiser_rows: int) -> list[QueuedJob]:
    """Return the most urgent job and, in order, all others of its model and size that fit into the call."""
    batch: list[QueuedJob] = []
    taken = 0
    for row in rows:
        if row.kind == rows[0].kind and (not batch or taken + row.denoiser_rows <= max_denoiser_rows):
            batch.append(row)
            taken += row.denoiser_rows
    return batch
