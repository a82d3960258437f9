"""Which rows of a worker go first in the next tick: in order of their places, but none becomes late by waiting."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final

from safelight.control.batch import QueuedJob
from safelight.control.order.late import late_place
from safelight.control.order.protocol import OrderPolicy, Place
from safelight.profiles.pace import PaceEstimate

TICKS_STRETCH: Final = 1.25
"""Full calls and the encoding and decoding of other rows between them take at most so many times the calls alone."""


def in_turn(
    rows: Sequence[QueuedJob],
    *,
    now: float,
    paces: Mapping[str, PaceEstimate],
    max_denoiser_rows: int,
    order: OrderPolicy,
) -> list[QueuedJob]:
    """Return `rows`, which are in order of their places, as they go at `now`.

    A row that would miss its deadline if it waited any longer goes before those that can wait (earliest deadline until
    zero laxity: Lee, TENCON 1994). A row that misses it anyway takes its `late_place`. Both hold within the patience of
    the order: who is older goes by its place alone.
    """
    if len(rows) == 1 or order.patience_s <= 0 or all(row.job.request.deadline_s is None for row in rows):
        return list(rows)
    longest_tick_s = max(_full_tick_s(kind, paces, max_denoiser_rows) for kind in {row.kind for row in rows})
    pressing: list[tuple[Place, QueuedJob]] = []
    others: list[tuple[Place, QueuedJob]] = []
    for row in rows:
        request, place, since_s, presses = row.job.request, row.place, row.job.request.arrived_s, False
        if request.deadline_s is not None:
            if _is_late(row, now, paces):
                place, since_s = late_place(order, request, int(place[-1])), request.due_s
            else:
                presses = _presses(row, now, paces, max_denoiser_rows, longest_tick_s)
        (pressing if presses or now - since_s > order.patience_s else others).append((place, row))
    return [row for group in (pressing, others) for _, row in sorted(group, key=itemgetter(0))]


def next_turn_s(
    rows: Sequence[QueuedJob],
    *,
    now: float,
    running: Collection[QueuedJob],
    paces: Mapping[str, PaceEstimate],
    max_denoiser_rows: int,
    order: OrderPolicy,
) -> float:
    """Return until when `in_turn` gives the same order while only `running` rows run; inf if nothing changes it.

    A tick that begins later than this may begin with another row.
    """
    if order.patience_s <= 0 or all(row.job.request.deadline_s is None for row in rows):
        return math.inf
    longest_tick_s = max(_full_tick_s(kind, paces, max_denoiser_rows) for kind in {row.kind for row in rows})
    waiting = (row for row in rows if row not in running and row.job.request.deadline_s is not None)
    moments = (
        moment
        for row in waiting
        for moment in _moments(row, paces, max_denoiser_rows, longest_tick_s, order.patience_s)
        if moment >= now
    )
    return min(moments, default=math.inf)


def _moments(
    row: QueuedJob,
    paces: Mapping[str, PaceEstimate],
    max_denoiser_rows: int,
    longest_tick_s: float,
    patience_s: float,
) -> Iterator[float]:
    """Yield after which moments a row that does not run presses, is late, or is too old for either."""
    yield _pressing_s(row, paces, max_denoiser_rows, longest_tick_s)
    yield _latest_start_s(row, paces)
    yield row.job.request.arrived_s + patience_s


def _is_late(row: QueuedJob, now: float, paces: Mapping[str, PaceEstimate]) -> bool:
    """Whether `row` misses its deadline even if it has the worker for itself."""
    return now > _latest_start_s(row, paces)


def _latest_start_s(row: QueuedJob, paces: Mapping[str, PaceEstimate]) -> float:
    model, width, height = row.kind
    pace = paces[model]
    tick_s = pace.tick_s(row.denoiser_rows, width=width, height=height)
    decode_s = pace.profile.decoding_s(width=width, height=height)
    return row.job.request.due_s - row.steps_left * tick_s - decode_s


def _presses(
    row: QueuedJob, now: float, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int, longest_tick_s: float
) -> bool:
    """Whether `row`, in full calls, would miss its deadline if it let another tick go before it."""
    return now > _pressing_s(row, paces, max_denoiser_rows, longest_tick_s)


def _pressing_s(
    row: QueuedJob, paces: Mapping[str, PaceEstimate], max_denoiser_rows: int, longest_tick_s: float
) -> float:
    model, width, height = row.kind
    left_s = row.steps_left * _full_tick_s(row.kind, paces, max_denoiser_rows) * TICKS_STRETCH
    decode_s = paces[model].profile.decoding_s(width=width, height=height)
    return row.job.request.due_s - decode_s - left_s - longest_tick_s


def _full_tick_s(kind: tuple[str, int, int], paces: Mapping[str, PaceEstimate], max_denoiser_rows: int) -> float:
    model, width, height = kind
    return paces[model].tick_s(max_denoiser_rows, width=width, height=height)
