"""Adapters that are asked for together."""

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import format_count, format_share, shorten_name
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import QUIET, SERIES, in_percent, panel
from safelight.traces.analyses.uses import KINDS, uses_of
from safelight.traces.schema import AdapterColumn

NAME, TITLE = "cooccurrence", "Adapters asked for together"

MOST_BARS = 8
LONGEST_NAME = 14
OFTEN = 10
"""Rarer pairs say little."""


def cooccurrence(frame: pl.LazyFrame) -> Result:
    """Count the pairs of adapters of one kind that requests ask for, most frequent first.

    The lift of a pair is how many times more often it occurs than it would if its two were drawn independently.
    """
    requests = frame.select(pl.len()).collect(engine="streaming").item()
    table = pl.concat(_pairs(frame, column, kind, requests) for column, kind in KINDS.items())
    if table.is_empty():
        return result_without_data(NAME, TITLE, "No request names two adapters of one kind, so there are no pairs.")
    return Result(
        name=NAME,
        title=TITLE,
        table=table,
        findings=tuple(_finding(rows) for rows in table.partition_by("adapters", maintain_order=True)),
        draw=lambda figure: _draw(figure, table),
    )


def _pairs(frame: pl.LazyFrame, column: AdapterColumn, kind: str, requests: int) -> pl.DataFrame:
    uses = uses_of(frame, column).select("request", "name").collect().lazy()
    each = uses.group_by("name").agg(pl.len().alias("count"))
    code = pl.col("name").to_physical()
    paired = uses.join(uses, on="request", suffix="_b").filter(code < pl.col("name_b").to_physical())
    counted = paired.group_by("name", "name_b").agg(pl.len().alias("requests"))
    beside = counted.join(each, on="name").join(each, left_on="name_b", right_on="name", suffix="_b")
    names = [pl.col("name").cast(pl.String), pl.col("name_b").cast(pl.String)]
    expected = pl.col("count") * pl.col("count_b") / requests
    return (
        beside.select(
            pl.lit(kind).alias("adapters"),
            pl.min_horizontal(names).alias("a"),
            pl.max_horizontal(names).alias("b"),
            "requests",
            (pl.col("requests") / requests).alias("share"),
            (pl.col("requests") / expected).alias("lift"),
            (pl.col("requests") / pl.min_horizontal("count", "count_b")).alias("share_of_rarer"),
        )
        .sort("requests", "a", "b", descending=[True, False, False])
        .collect()
    )


def _finding(rows: pl.DataFrame) -> str:
    top = rows.row(0, named=True)
    often = rows.filter(pl.col("requests") >= OFTEN)
    bound = len(often.filter(pl.col("share_of_rarer") == 1))
    return (
        f"Requests combine {top['adapters']}s in {format_count(len(rows), 'pair')}. The commonest is in "
        f"{format_share(top['share'])} "
        f"of requests, {top['lift']:.3g} times as often as by chance. Of "
        f"{format_count(len(often), 'pair')} in {OFTEN} or more "
        f"requests, {bound:,} hold an adapter that never comes without the other."
    )


def _draw(figure: Figure, table: pl.DataFrame) -> None:
    kinds = table.partition_by("adapters", maintain_order=True)
    for number, rows in enumerate(kinds, 1):
        kind = rows["adapters"][0]
        top = rows.head(MOST_BARS)
        axes = panel(figure, position=(1, len(kinds), number), x="share of requests", y="", title=f"{kind}s")
        places = range(len(top), 0, -1)
        axes.barh(places, top["share"], height=0.7, color=SERIES[list(KINDS.values()).index(kind)])
        axes.set_yticks(
            places,
            [
                f"{shorten_name(a, LONGEST_NAME)} + {shorten_name(b, LONGEST_NAME)}"
                for a, b in top.select("a", "b").rows()
            ],
        )
        for place, (part, lift) in zip(places, top.select("share", "lift").rows(), strict=True):
            axes.annotate(
                f"lift {lift:.3g}",
                (part, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=QUIET,
            )
        axes.margins(x=0.25)
        axes.grid(visible=False, axis="y")
        in_percent(axes.xaxis)
