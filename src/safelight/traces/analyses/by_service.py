"""One question asked of each service of a trace."""

from collections.abc import Callable
from typing import cast

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import shorten_name
from safelight.reports.result import Result
from safelight.reports.style import INK, WIDE_IN

MOST_FIGURES = 6

Question = Callable[[pl.LazyFrame], Result]


def by_service(frame: pl.LazyFrame, ask: Question) -> Result:
    """Return the answers for all services as one: tables with a column for the service, figures below each other.

    Requests that tell no service are asked about as one service without a name; a trace of one service is answered
    without naming it.
    """
    sizes = frame.group_by("service").len().sort("service", nulls_last=True).collect(engine="streaming")
    services = sizes["service"].to_list() or [None]
    results = {name: ask(frame.filter(pl.col("service").eq_missing(name))) for name in services}
    first, *others = results.values()
    tables = [
        result.table.select(pl.lit(name, pl.String).alias("service"), pl.all())
        for name, result in results.items()
        if not result.table.is_empty()
    ]
    said = [(_subject(name), finding) for name, result in results.items() for finding in result.findings]
    largest = sizes.sort("len", descending=True).head(MOST_FIGURES)["service"].to_list()
    return Result(
        name=first.name,
        title=first.title,
        table=pl.concat(tables, how="vertical_relaxed") if tables else first.table,
        findings=tuple(f"{subject}: {finding}" if others else finding for subject, finding in said),
        draw=(lambda figure: _draw(figure, {name: results[name] for name in services if name in largest}))
        if others
        else first.draw,
    )


def _subject(service: str | None) -> str:
    return "Requests without a service" if service is None else f"Service {service}"


def _draw(figure: Figure, results: dict[str | None, Result]) -> None:
    figure.set_size_inches(WIDE_IN[0], WIDE_IN[1] * len(results))
    parts = figure.subfigures(len(results), 1, squeeze=False)[:, 0]
    for part, (name, result) in zip(parts, results.items(), strict=True):
        part.suptitle(shorten_name(_subject(name)), x=0.01, ha="left", fontsize=9.5, fontweight="bold", color=INK)
        result.draw(cast("Figure", part))
