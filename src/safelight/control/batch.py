"""Which rows share the next tick."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from safelight.control.order import Place, place_of
from safelight.core.adapter import NO_ADAPTERS, Composition
from safelight.core.request import ImageRequest
from safelight.profiles.model import ModelProfile

Kind = tuple[str, int, int]
"""Model, width and height: what rows of one tick share."""


@dataclass(slots=True, eq=False)
class Row:
    """One picture being denoised, or about to be.

    Attributes:
        grace_left: how many steps it may still run without its LoRAs, which are on their way; None once they are there.
    """

    request: ImageRequest
    place: Place
    steps_left: int
    denoiser_rows: int
    kind: Kind
    has_begun: bool = False
    grace_left: int | None = None

    @property
    def is_bare(self) -> bool:
        """Whether its LoRAs are still on their way."""
        return self.grace_left is not None

    @property
    def is_held_back(self) -> bool:
        """Whether it runs no further without its LoRAs."""
        return self.grace_left == 0

    @property
    def composition(self) -> Composition:
        """What its LoRAs come to in its next step."""
        return NO_ADAPTERS if self.is_bare else self.request.composition

    @classmethod
    def of(cls, request: ImageRequest, *, sequence: int, step: int = 0, has_begun: bool = False) -> "Row":
        """Return the row of `request` after `step` of its steps have run."""
        return cls(
            request=request,
            place=place_of(request, sequence),
            steps_left=request.steps_to_run - step,
            denoiser_rows=request.denoiser_rows,
            kind=(request.model, request.width, request.height),
            has_begun=has_begun,
        )


def choose_batch(
    rows: Sequence[Row], *, now: float, profiles: Mapping[str, ModelProfile], max_denoiser_rows: int
) -> list[Row]:
    """Return the rows of the next tick, most urgent first; `rows` come in order of their places and are not empty.

    The most urgent row sets model and size and is always taken. The others are taken in order while the call has room
    and as long as the longer tick makes none of the rows already taken miss its deadline, if it can still meet it.
    """
    first = rows[0]
    model, width, height = first.kind
    profile = profiles[model]
    decode_s = profile.decoding_s(width=width, height=height)
    batch: list[Row] = []
    taken, limit_s = 0, math.inf
    for row in rows:
        if row.kind != first.kind or (batch and taken + row.denoiser_rows > max_denoiser_rows):
            continue
        tick_s = profile.tick_s(taken + row.denoiser_rows, width=width, height=height)
        if batch and tick_s > limit_s:
            continue
        batch.append(row)
        taken += row.denoiser_rows
        affordable_s = (row.request.due_s - decode_s - now) / row.steps_left
        if affordable_s >= tick_s:
            limit_s = min(limit_s, affordable_s)
    return batch
