"""Whether a request is taken, and if not, when a new try has a chance."""

from collections.abc import Collection, Sequence
from typing import Final

from safelight.control.forecast import foresee
from safelight.control.station import Station
from safelight.control.ticket import Ticket
from safelight.core.errors import DeadlineUnmeetable, QueueFull

LEAST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 600.0

UNSERVED_RETRY_S: Final = 10.0
"""Retry-After while no live worker serves the model; about the time that a worker takes to start."""


def lateness(
    ticket: Ticket, *, stations: Sequence[Station], waiting: Sequence[Ticket], now: float
) -> DeadlineUnmeetable | None:
    """Return why `ticket` cannot meet its deadline, or None when it has none, can, or nobody can tell."""
    deadline_s = ticket.request.deadline_s
    if deadline_s is None:
        return None
    finish_s = predicted_finish_s(ticket, stations=stations, waiting=waiting, now=now)
    if finish_s is None or finish_s <= ticket.request.due_s:
        return None
    late_s = finish_s - ticket.request.due_s
    return DeadlineUnmeetable(deadline_s=deadline_s, expected_s=finish_s - now, retry_after_s=retry_in(late_s))


def predicted_finish_s(
    ticket: Ticket, *, stations: Sequence[Station], waiting: Sequence[Ticket], now: float
) -> float | None:
    """Return when a new `ticket` would be ready, or None while no live worker serves its model.

    An empty worker is judged at its best, so that a pace learned under load cannot shut out work for good.
    """
    serving = [station for station in stations if station.serves(ticket.request.model)]
    if not serving:
        return None
    if any(station.is_empty for station in serving):
        best_s = min(
            station.profiles[ticket.request.model].best_service_s(ticket.request)
            for station in serving
            if station.is_empty
        )
        return now + best_s
    fitting = [station for station in serving if station.can_take(ticket)]
    if fitting:
        return min(station.finish_s(ticket, now=now) for station in fitting)
    lanes = [station.lane() for station in stations]
    rows = [other.row() for other in (*waiting, ticket)]
    return foresee(lanes, rows, now=now)[ticket.id].finish_s


def queue_full(model: str, *, stations: Sequence[Station], waiting: Collection[Ticket]) -> QueueFull:
    """Return the refusal for a full queue: try again when half of it is expected to be gone."""
    serving = [station for station in stations if station.serves(model)]
    half_s = backlog_s(stations, waiting) / 2 if serving else UNSERVED_RETRY_S
    return QueueFull(waiting=len(waiting), retry_after_s=retry_in(half_s))


def backlog_s(stations: Sequence[Station], waiting: Collection[Ticket]) -> float:
    """Return the seconds that the workers need for all that waits, each working in full batches."""
    return sum(_share_s(stations, ticket) for ticket in waiting)


def retry_in(seconds: float) -> float:
    """Return `seconds` within what makes sense as a Retry-After."""
    return min(max(seconds, LEAST_RETRY_S), MOST_RETRY_S)


def _share_s(stations: Sequence[Station], ticket: Ticket) -> float:
    rates = [1 / _work_s(station, ticket) for station in stations if station.serves(ticket.request.model)]
    return 1 / sum(rates) if rates else 0.0


def _work_s(station: Station, ticket: Ticket) -> float:
    """Return the seconds of a full worker's time that this picture takes."""
    request = ticket.request
    profile = station.profiles[request.model]
    full = station.max_denoiser_rows
    tick_s = profile.tick_s(full, width=request.width, height=request.height)
    decoding_s = profile.decoding_s(width=request.width, height=request.height)
    return profile.encode_s + request.steps_to_run * tick_s * request.denoiser_rows / full + decoding_s
