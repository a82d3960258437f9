"""How long it takes until an adapter is used again."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import format_count, format_duration, format_share
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import SERIES, in_percent, in_thousands, in_time, panel
from safelight.traces.analyses.uses import KINDS, uses_of

NAME, TITLE = "reuse", "Time between uses of an adapter"

UNITS = {"seconds": "time since the last use", "requests": "requests since the last that used it"}
QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def reuse(frame: pl.LazyFrame) -> Result:
    """Return how long ago an adapter was used before, whenever it is used again: in seconds and in requests.

    The table has quantiles over the uses that are not the first, for the whole service and on the same instance.
    """
    rows = []
    for column, kind in KINDS.items():
        uses = uses_of(frame, column).collect()
        on_instances = uses.drop_nulls("instance")
        rows += _rows(uses, "request", ["name"], kind, "service")
        rows += _rows(on_instances, "turn", ["instance", "name"], kind, "instance")
    if not rows:
        return result_without_data(NAME, TITLE, "The trace names no adapter twice, so nothing can be said of reuse.")
    table = pl.DataFrame(rows)
    told = table.filter(pl.col("unit") == table["unit"][0])
    findings = tuple(_finding(row) for row in told.iter_rows(named=True))
    return Result(name=NAME, title=TITLE, table=table, findings=findings, draw=lambda figure: _draw(figure, table))


def _rows(uses: pl.DataFrame, turn: str, place: list[str], kind: str, within: str) -> list[dict[str, Any]]:
    """Return quantiles of the seconds, and of the requests, since the last use at the same place."""
    since = uses.select(
        pl.col("arrival_s").diff().over(place).alias("seconds"), pl.col(turn).diff().over(place).alias("requests")
    )
    rows: list[dict[str, Any]] = []
    for unit in since.columns:
        known = since[unit].drop_nulls().to_numpy()
        if len(known):
            facts = {"adapters": kind, "within": within, "unit": unit, "uses": len(since), "repeats": len(known)}
            quantiles = zip(QUANTILES, np.quantile(known, QUANTILES), strict=True)
            rows.append({**facts, **{f"p{100 * at:g}": float(value) for at, value in quantiles}})
    return rows


def _finding(row: dict[str, Any]) -> str:
    where = "the same instance" if row["within"] == "instance" else "any instance"
    uses = format_count(row["uses"], f"{row['adapters']} use")
    say = format_duration if row["unit"] == "seconds" else _requests
    half, most = say(row["p50"]), say(row["p90"])
    repeats = format_share(row["repeats"] / row["uses"])
    return (
        f"Of {uses}, {repeats} repeat one on {where}, half of them within {half} of the use before, nine tenths within "
        f"{most}."
    )


def _requests(count: float) -> str:
    return format_count(round(count), "request")


def _draw(figure: Figure, table: pl.DataFrame) -> None:
    for number, (unit, label) in enumerate(UNITS.items(), 1):
        axes = panel(figure, position=(1, 2, number), x=label, y="share of repeats" if number == 1 else "")
        for row in table.filter(unit=unit).iter_rows(named=True):
            is_local = row["within"] == "instance"
            axes.semilogx(
                [row[f"p{100 * at:g}"] for at in QUANTILES],
                QUANTILES,
                color=SERIES[list(KINDS.values()).index(row["adapters"])],
                linestyle=(0, (3, 2)) if is_local else "-",
                label=f"{row['adapters']}s, {'same' if is_local else 'any'} instance",
            )
        axes.set_ylim(0, 1)
        in_percent(axes.yaxis)
        (in_time if unit == "seconds" else in_thousands)(axes.xaxis)
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, labelcolor="linecolor", loc="outside upper center", ncols=2)
