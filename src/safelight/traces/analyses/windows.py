"""Equal windows of time that a trace is cut into."""

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safelight.reports.formatting import DAY_S, HOUR_S, MINUTE_S
from safelight.reports.style import panel
from safelight.traces.schema import UNIX_TIME_FROM_S

MOST_WINDOWS = 1500
LONGEST_S, LATEST_S = 200 * 365 * DAY_S, 2.5e11
"""Two hundred years, and the year 9892."""

LENGTHS = {"second": 1, "minute": MINUTE_S, "hour": HOUR_S, "day": DAY_S, "week": 7 * DAY_S}


@dataclass(frozen=True, kw_only=True)
class Span:
    """When a trace's first and last requests arrive, and how many arrival times it has."""

    first_s: float
    last_s: float
    arrivals: int

    @property
    def length_s(self) -> float:
        """Seconds from the first arrival to the last."""
        return self.last_s - self.first_s

    @property
    def is_too_long(self) -> bool:
        """Whether these can hardly be seconds."""
        return self.length_s > LONGEST_S or self.last_s > LATEST_S

    @property
    def is_dated(self) -> bool:
        """Whether the trace has the time of day, in UTC."""
        return self.first_s >= UNIX_TIME_FROM_S

    def finest(self, most: int = MOST_WINDOWS) -> str:
        """Return the shortest window of `LENGTHS` that cuts the trace into no more than `most`."""
        return next((name for name, length in LENGTHS.items() if self.length_s / length <= most), "week")


def span_of(frame: pl.LazyFrame) -> Span | None:
    """Return when requests arrive, or None where no request has a time."""
    arrival = pl.col("arrival_s")
    first, last, arrivals = (
        frame.select(arrival.min().alias("a"), arrival.max().alias("z"), arrival.count())
        .collect(engine="streaming")
        .row(0)
    )
    return None if first is None else Span(first_s=first, last_s=last, arrivals=arrivals)


def missing_arrivals_reason(span: Span | None) -> str:
    """Return why arrivals cannot be shown over time, if they cannot."""
    if span is None:
        return "No request tells when it arrived"
    if span.is_too_long:
        return f"Requests would arrive from {span.first_s:.3g} to {span.last_s:.3g} s, which can hardly be seconds"
    return ""


def start_of(length_s: float) -> pl.Expr:
    """Return when the window begins that a request arrives in; windows begin at multiples of their length."""
    return ((pl.col("arrival_s") / length_s).floor() * length_s).alias("start_s")


def time_panel(
    figure: Figure, span: Span, *, position: tuple[int, int, int] = (1, 1, 1), y: str, title: str = ""
) -> tuple[Axes, float]:
    """Return new axes along the time of a trace, and how many seconds a unit of them is."""
    if span.is_dated:
        axes = panel(figure, position=position, x="time, UTC", y=y, title=title)
        axes.xaxis.set_major_locator(locator := AutoDateLocator())  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        return axes, DAY_S
    unit = next((unit for unit in ("day", "hour", "minute") if span.length_s >= 2 * LENGTHS[unit]), "second")
    axes = panel(figure, position=position, x=f"{unit}s since the trace's start", y=y, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=unit != "second"))
    return axes, LENGTHS[unit]


def format_arrival(arrival_s: float) -> str:
    """Return a time of arrival as text: a date where the trace has Unix time, else the day of the trace."""
    time = datetime.fromtimestamp(arrival_s, UTC)
    day = f"day {int(arrival_s // DAY_S) + 1}," if arrival_s < UNIX_TIME_FROM_S else f"{time:%Y-%m-%d}"
    return f"{day} {time:%H:%M}" + (f":{time:%S}" if time.second else "")
