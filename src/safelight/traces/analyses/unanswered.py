"""What an analysis gives for a trace that does not tell what it asks for."""

import polars as pl
from matplotlib.figure import Figure

from safelight.reports.result import Result


def unanswered(name: str, title: str, why: str) -> Result:
    """Return a result without numbers, whose finding and figure are the sentence `why`."""

    def draw(figure: Figure) -> None:
        figure.text(0.5, 0.5, why, ha="center", va="center", wrap=True)

    return Result(name=name, title=title, table=pl.DataFrame(), findings=(why,), draw=draw)
