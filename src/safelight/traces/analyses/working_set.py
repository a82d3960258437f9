"""Which adapters are in use at a time, and how many of them are new."""

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import format_count, format_share
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import BLUE, ORANGE, in_thousands
from safelight.traces.analyses.uses import KINDS, uses_of
from safelight.traces.analyses.windows import LENGTHS, Span, missing_arrivals_reason, span_of, start_of, time_panel

NAME, TITLE = "working-set", "Adapters in use"

MOST_WINDOWS = 62


def working_set(frame: pl.LazyFrame, *, window: str | None = None) -> Result:
    """Count the adapters that are used within each window, and those that were never used before.

    Args:
        frame: of one service.
        window: of `windows.LENGTHS`; the shortest that cuts the trace into no more than `MOST_WINDOWS` if not given.
    """
    span = span_of(frame)
    if span is None or span.is_too_long:
        return result_without_data(
            NAME, TITLE, f"{missing_arrivals_reason(span)}, so nothing can be said of what is in use at a time."
        )
    window = window or span.finest(MOST_WINDOWS)
    table = pl.concat(_of_kind(uses_of(frame, column), kind, LENGTHS[window]) for column, kind in KINDS.items())
    if table.is_empty():
        return result_without_data(
            NAME, TITLE, "The trace names no adapters, so nothing can be said of what is in use at a time."
        )
    return Result(
        name=NAME,
        title=f"{TITLE}, by {window}",
        table=table,
        findings=tuple(_finding(rows, window) for rows in table.partition_by("adapters", maintain_order=True)),
        draw=lambda figure: _draw(figure, table, span, window),
    )


def _of_kind(uses: pl.LazyFrame, kind: str, length_s: int) -> pl.DataFrame:
    """Return a row for each window in which adapters of a kind are used."""
    in_windows = uses.drop_nulls("arrival_s").group_by(start_of(length_s), "name").agg(pl.len().alias("uses"))
    first = pl.col("start_s") == pl.col("start_s").min().over("name")
    counts = (
        in_windows.with_columns(first.alias("is_first"))
        .group_by("start_s")
        .agg(
            pl.col("uses").sum(),
            pl.len().alias("distinct"),
            pl.col("is_first").sum().alias("new"),
            pl.col("uses").filter("is_first").sum().alias("uses_of_new"),
        )
    )
    return counts.sort("start_s").select(pl.lit(kind).alias("adapters"), pl.all()).collect()


def _finding(rows: pl.DataFrame, window: str) -> str:
    kind, names = rows["adapters"][0], int(rows["new"].sum())
    sentence = f"Of {format_count(names, kind)}, {_mean(rows['distinct'])} are in use within one {window} on average"
    later = rows[1:]
    if later.is_empty():
        return f"{sentence}."
    weight = format_share(int(later["uses_of_new"].sum()) / int(later["uses"].sum()))
    return f"{sentence}; after the first {window}, {_mean(later['new'])} of them are new, which make {weight} of uses."


def _mean(counts: pl.Series) -> str:
    mean = int(counts.sum()) / len(counts)
    return f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}"


def _draw(figure: Figure, table: pl.DataFrame, span: Span, window: str) -> None:
    kinds = table.partition_by("adapters", maintain_order=True)
    for number, rows in enumerate(kinds, 1):
        axes, unit_s = time_panel(
            figure, span, position=(1, len(kinds), number), y=f"distinct per {window}", title=f"{rows['adapters'][0]}s"
        )
        middle = (rows["start_s"] + LENGTHS[window] / 2) / unit_s
        width = 0.85 * LENGTHS[window] / unit_s
        known = rows["distinct"] - rows["new"]
        axes.bar(middle, known, width, color=BLUE, label="used before")
        axes.bar(middle, rows["new"], width, bottom=known, color=ORANGE, label="new")
        axes.grid(visible=False, axis="x")
        in_thousands(axes.yaxis)
        if number == 1:
            axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.3, 0.99), fontsize=8.5)
