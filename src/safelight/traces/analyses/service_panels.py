"""A figure with a panel for each service."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safelight.reports.formatting import shorten_name
from safelight.reports.style import WIDE_IN, panel
from safelight.traces.usage import Usage

MOST_PANELS = 6


def shown(services: Sequence[Usage]) -> list[int]:
    """Return the places of the services that a figure has room for: those with the most requests, in their order."""
    return sorted(sorted(range(len(services)), key=lambda place: -services[place].requests)[:MOST_PANELS])


def service_panels(figure: Figure, services: Sequence[Usage], *, x: str, y: str) -> list[tuple[Axes, int]]:
    """Return axes beside each other, with the place of the service that each is for; a third row makes it higher."""
    places = shown(services)
    columns = min(2, len(places))
    rows = -(-len(places) // columns)
    figure.set_size_inches(WIDE_IN[0], WIDE_IN[1] * max(1, 0.8 * rows))
    return [
        (panel(figure, position=(rows, columns, number), x=x, y=y, title=shorten_name(services[place].title)), place)
        for number, place in enumerate(places, 1)
    ]
