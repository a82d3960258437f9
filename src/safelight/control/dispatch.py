"""Which waiting request goes to which worker now."""

from collections.abc import Iterable, Sequence

from safelight.control.station import Station
from safelight.control.ticket import Ticket


def dispatch(waiting: Iterable[Ticket], stations: Sequence[Station], *, now: float) -> list[Ticket]:
    """Put waiting tickets, given in order, onto stations with room; returns those that found a place.

    Each goes where it finishes soonest. One that finds no room claims the stations that serve it, so that smaller
    requests behind it do not take every row that comes free; a suspect claims one station, the first to be empty.
    """
    open_stations = [station for station in stations if station.is_open]
    placed: list[Ticket] = []
    for ticket in waiting:
        if not open_stations:
            break
        serving = [station for station in open_stations if station.serves(ticket.request.model)]
        fitting = [station for station in serving if station.can_take(ticket)]
        if fitting:
            best = _soonest(fitting, ticket, now)
            best.take(ticket)
            placed.append(ticket)
            if not best.is_open:
                open_stations.remove(best)
        elif serving:
            claimed = [_first_clear(serving, now)] if ticket.is_suspect else serving
            open_stations = [station for station in open_stations if station not in claimed]
    return placed


def _soonest(stations: Sequence[Station], ticket: Ticket, now: float) -> Station:
    if len(stations) == 1:
        return stations[0]
    return min(stations, key=lambda station: station.finish_s(ticket, now=now))


def _first_clear(stations: Sequence[Station], now: float) -> Station:
    return min(stations, key=lambda station: station.clear_s(now=now))
