"""The result of an analysis."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Result:
    """A table with findings and a figure.

    Attributes:
        name: of the analysis, as on the command line.
        title: a line over the table and the figure.
        table: the numbers, all of them: what the figure shows is in it.
        findings: what the numbers say, in whole sentences with the numbers in them.
        draw: draws the figure into an empty one of any size.
    """

    name: str
    title: str
    table: pl.DataFrame
    findings: tuple[str, ...]
    draw: Callable[[Figure], None]


def result_without_data(name: str, title: str, reason: str) -> Result:
    """Return a result with an empty table, whose finding and figure are the sentence `reason`."""

    def draw(figure: Figure) -> None:
        figure.text(0.5, 0.5, reason, ha="center", va="center", wrap=True)

    return Result(name=name, title=title, table=pl.DataFrame(), findings=(reason,), draw=draw)
