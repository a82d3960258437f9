"""What an analysis gives."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer to one question.

    Attributes:
        name: as the command line calls the question.
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
