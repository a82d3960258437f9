"""A live worker as the controller sees it."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from safelight.control.commands import Foretell
from safelight.control.forecast import Lane, foresee
from safelight.control.ticket import Ticket
from safelight.core.request import ImageRequest
from safelight.core.work import Ready, Ticked
from safelight.profiles.model import ModelProfile

FORETOLD_REQUESTS: Final = 32
"""A worker is told of the adapters of so many waiting requests."""


class Station:
    """What a worker serves, how fast, and the tickets that it holds."""

    def __init__(self, name: str, ready: Ready, *, lookahead_rows: int) -> None:
        self.name = name
        self.profiles = {spec.name: ModelProfile.from_spec(spec) for spec in ready.models}
        self.max_denoiser_rows = ready.max_denoiser_rows
        self.capacity_rows = ready.max_denoiser_rows + lookahead_rows
        self.tickets: dict[str, Ticket] = {}
        self.used_rows = 0
        self._foretold: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.tickets

    @property
    def is_open(self) -> bool:
        """Whether it may take anything at all."""
        return self.used_rows < self.capacity_rows and not self._holds_suspect

    def serves(self, model: str) -> bool:
        return model in self.profiles

    def can_take(self, ticket: Ticket) -> bool:
        """Whether there is room for `ticket` now; a suspect has room only where nobody else is."""
        if ticket.is_suspect:
            return self.is_empty
        return self.is_open and self.used_rows + self._rows_of(ticket.request) <= self.capacity_rows

    def take(self, ticket: Ticket) -> None:
        self.tickets[ticket.id] = ticket
        self.used_rows += self._rows_of(ticket.request)
        ticket.worker = self.name

    def release(self, ticket: Ticket) -> None:
        del self.tickets[ticket.id]
        self.used_rows -= self._rows_of(ticket.request)

    def finish_s(self, ticket: Ticket, *, now: float) -> float:
        """Return when `ticket` would be ready, if it came here now and nothing came after it."""
        if self.is_empty:
            return now + self.profiles[ticket.request.model].service_s(ticket.request)
        lane = self.lane()
        return foresee([lane], [ticket.row()], now=now)[ticket.id].finish_s

    def clear_s(self, *, now: float) -> float:
        """Return when all that is here will be ready."""
        return max((seen.finish_s for seen in foresee([self.lane()], (), now=now).values()), default=now)

    def lane(self) -> Lane:
        """Return a copy for a forecast, without what was withdrawn."""
        rows = [ticket.row() for ticket in self.tickets.values() if not ticket.is_withdrawn]
        return Lane(
            profiles=self.profiles,
            max_denoiser_rows=self.max_denoiser_rows,
            capacity_rows=self.capacity_rows,
            rows=sorted(rows, key=lambda row: row.place),
        )

    def foretell(self, waiting: Iterable[Ticket]) -> Foretell | None:
        """Return word of the adapters that `waiting` requests, in order, may need here; None when it is no news."""
        likely = (ticket.request for ticket in waiting if self.serves(ticket.request.model))
        adapters = tuple(
            dict.fromkeys(name for request in islice(likely, FORETOLD_REQUESTS) for name in request.adapters)
        )
        if adapters == self._foretold:
            return None
        self._foretold = adapters
        return Foretell(self.name, adapters)

    def learn(self, ticked: Ticked) -> None:
        """Learn from a tick, when all that runs here of its model is of one size, since a tick does not tell it."""
        sizes = {
            (ticket.request.width, ticket.request.height)
            for ticket in self.tickets.values()
            if ticket.request.model == ticked.model
        }
        if self.serves(ticked.model) and len(sizes) == 1:
            ((width, height),) = sizes
            self.profiles[ticked.model].observe(ticked.denoiser_rows, ticked.seconds, width=width, height=height)

    @property
    def _holds_suspect(self) -> bool:
        return any(ticket.is_suspect for ticket in self.tickets.values())

    def _rows_of(self, request: ImageRequest) -> int:
        return min(request.denoiser_rows, self.capacity_rows)
