"""When requests arrive."""

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import DAY_S, HOUR_S, format_count, format_duration, format_number
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import BLUE, in_thousands, panel
from safelight.traces.analyses.windows import (
    LENGTHS,
    Span,
    format_arrival,
    missing_arrivals_reason,
    span_of,
    start_of,
    time_panel,
)

NAME, TITLE = "arrivals", "Arrivals over time"


def arrivals(frame: pl.LazyFrame) -> Result:
    """Count requests in windows: hours for a trace of some days, shorter or longer ones for others.

    The table has a row for each window, also where nothing arrives.
    """
    span = span_of(frame)
    if span is None or span.is_too_long:
        return result_without_data(NAME, TITLE, f"{missing_arrivals_reason(span)}, so nothing can be said of arrivals.")
    window = span.finest()
    table = _filled(frame, span, LENGTHS[window])

    def draw(figure: Figure) -> None:
        _draw(figure, table, span, window)

    findings = (*_of_rate(table, span, window), *(_of_day(table, span) if _has_days(span, window) else ()))
    return Result(name=NAME, title=TITLE, table=table, findings=findings, draw=draw)


def _filled(frame: pl.LazyFrame, span: Span, length_s: int) -> pl.DataFrame:
    counts = (
        frame.drop_nulls("arrival_s")
        .group_by(start_of(length_s))
        .agg(pl.len().alias("requests"))
        .collect(engine="streaming")
    )
    numbers = pl.int_range(int(span.first_s // length_s), int(span.last_s // length_s) + 1, eager=True)
    starts = pl.DataFrame({"start_s": numbers.cast(pl.Float64) * length_s})
    return starts.join(counts, on="start_s", how="left", maintain_order="left").with_columns(
        pl.col("requests").fill_null(0)
    )


def _has_days(span: Span, window: str) -> bool:
    return window == "hour" and span.length_s >= 2 * DAY_S


def _by_hour(table: pl.DataFrame) -> pl.DataFrame:
    """Return each hour of the day with the mean of its requests."""
    hour = (pl.col("start_s") % DAY_S // HOUR_S).cast(pl.Int64).alias("hour")
    return table.group_by(hour).agg(pl.col("requests").mean()).sort("hour")


def _of_rate(table: pl.DataFrame, span: Span, window: str) -> tuple[str, ...]:
    if not span.length_s:
        return (f"All that arrives, {format_count(span.arrivals, 'request')}, does so at one moment.",)
    start_s, most = table.row(table["requests"].arg_max() or 0)
    rate = span.arrivals / span.length_s
    requests, times = (
        format_count(span.arrivals, "request"),
        f"{format_number(most / (rate * LENGTHS[window]))} times the mean",
    )
    return (
        f"{requests} arrive within {format_duration(span.length_s)}, {format_number(rate)} per second on average.",
        f"The busiest {window} begins at {format_arrival(start_s)} and has {format_count(most, 'request')}, {times}.",
    )


def _of_day(table: pl.DataFrame, span: Span) -> tuple[str, ...]:
    hours = _by_hour(table).sort("requests")
    (quiet, least), (busy, most) = hours.row(0), hours.row(-1)
    clock = "UTC" if span.is_dated else "counted from the trace's start, which need not be midnight"
    busiest = f"The busiest hour of the day begins at {busy:02d}:00 with {format_number(most)} requests on average"
    return (f"{busiest}, the quietest at {quiet:02d}:00 with {format_number(least)} ({clock}).",)


def _draw(figure: Figure, table: pl.DataFrame, span: Span, window: str) -> None:
    has_days = _has_days(span, window)
    axes, unit_s = time_panel(figure, span, position=(1 + has_days, 1, 1), y=f"requests per {window}")
    along = table["start_s"] / unit_s
    axes.fill_between(along, table["requests"], step="post", color=BLUE, alpha=0.25, linewidth=0)
    axes.step(along, table["requests"], where="post", linewidth=1)
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    in_thousands(axes.yaxis)
    if has_days:
        hours = _by_hour(table)
        axes = panel(figure, position=(2, 1, 2), x="hour of the day", y="mean")
        axes.bar(hours["hour"], hours["requests"], width=0.8)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02d}:00" for hour in range(0, 24, 3)])
        axes.grid(visible=False, axis="x")
        in_thousands(axes.yaxis)
