"""How bursty arrivals are, at every scale of time."""

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import DAY_S, HOUR_S, MINUTE_S, format_count, format_duration, format_number
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import QUIET, VERMILLION, in_thousands, in_time, panel
from safelight.traces.analyses.windows import Span, missing_arrivals_reason, span_of

NAME, TITLE = "burstiness", "Burstiness"

WINDOWS_S = (
    *(0.01, 0.1, 1, 3, 10, 30, MINUTE_S, 3 * MINUTE_S, 10 * MINUTE_S, 30 * MINUTE_S),
    *(HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S),
)
FEWEST_WINDOWS = 10
"""A variance over fewer windows says little."""


def burstiness(frame: pl.LazyFrame) -> Result:
    """Return the index of dispersion of counts for windows of many lengths.

    The index is the variance of the number of arrivals in a window over its mean (Cox and Lewis, 1966): 1 for Poisson
    arrivals at any length, below for more regular and above for more bursty ones.
    """
    span = span_of(frame)
    if span is None or span.is_too_long or not span.length_s:
        why = missing_arrivals_reason(span) or "All requests arrive at one moment"
        return result_without_data(NAME, TITLE, f"{why}, so nothing can be said of bursts.")
    shortest_s, longest_s = span.length_s / span.arrivals / 10, span.length_s / FEWEST_WINDOWS
    lengths = [length for length in WINDOWS_S if shortest_s <= length <= longest_s]
    if not lengths:
        within = f"{format_count(span.arrivals, 'arrival')} within {format_duration(span.length_s)}"
        return result_without_data(NAME, TITLE, f"The trace has {within}, too few to tell bursts from chance.")
    table = pl.concat([_dispersion(frame, span, length) for length in lengths])
    findings = (_of_gaps(frame), _of_windows(table), _of_peaks(table))
    return Result(name=NAME, title=TITLE, table=table, findings=findings, draw=lambda figure: _draw(figure, table))


def _dispersion(frame: pl.LazyFrame, span: Span, length_s: float) -> pl.DataFrame:
    """Return the facts of windows of one length, the first of which begins with the trace; only whole ones count."""
    windows = int(span.length_s // length_s)
    window = ((pl.col("arrival_s") - span.first_s) // length_s).alias("window")
    counts = frame.group_by(window).agg(pl.len().alias("requests")).filter(pl.col("window") < windows)
    requests = pl.col("requests").cast(pl.Float64)
    facts = counts.select(
        requests.sum().alias("sum"), (requests**2).sum().alias("squares"), requests.max().alias("most")
    )
    total, squares, most = facts.collect(engine="streaming").row(0)
    mean = total / windows
    return pl.DataFrame(
        {
            "window_s": float(length_s),
            "windows": windows,
            "mean_requests": mean,
            "most_requests": int(most),
            "dispersion": (squares / windows - mean**2) / mean,
        }
    )


def _of_gaps(frame: pl.LazyFrame) -> str:
    gaps = frame.select(pl.col("arrival_s").drop_nulls().sort().diff())
    mean, spread = gaps.select(pl.first().mean().alias("mean"), pl.first().std(ddof=0).alias("spread")).collect().row(0)
    variation = format_number(spread / mean)
    return (
        f"The time between arrivals is {format_duration(mean)} on average, its coefficient of variation "
        f"{variation}; that of "
        "Poisson arrivals is 1."
    )


def _of_windows(table: pl.DataFrame) -> str:
    short = table.row(0, named=True)
    most = table.row(table["dispersion"].arg_max() or 0, named=True)
    over_short = f"{format_number(short['dispersion'])} over windows of {format_duration(short['window_s'])}"
    return (
        f"The index of dispersion is {over_short} and up to "
        f"{format_number(most['dispersion'])} over {format_duration(most['window_s'])}; that of Poisson "
        "arrivals is 1 over any."
    )


def _of_peaks(table: pl.DataFrame) -> str:
    row = min(table.iter_rows(named=True), key=lambda row: abs(row["window_s"] - MINUTE_S))
    return (
        f"Within {format_duration(row['window_s'])}, at most {format_count(row['most_requests'], 'request')} arrive, "
        f"{format_number(row['most_requests'] / row['mean_requests'])} times the mean."
    )


def _draw(figure: Figure, table: pl.DataFrame) -> None:
    axes = panel(figure, x="length of the window", y="index of dispersion")
    axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.loglog(table["window_s"], table["dispersion"], color=VERMILLION, marker="o", markersize=4)
    in_time(axes.xaxis)
    in_thousands(axes.yaxis)
    axes.annotate(
        "Poisson", (1, 1), (-2, 3), axes.get_yaxis_transform(), "offset points", ha="right", color=QUIET, fontsize=8.5
    )
