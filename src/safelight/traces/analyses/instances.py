"""How many different adapters each instance meets, against how many requests it gets."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure

from safelight.reports.formatting import format_count, format_share
from safelight.reports.result import Result
from safelight.reports.style import BLUE, VERMILLION, in_thousands
from safelight.traces.analyses.service_panels import service_panels
from safelight.traces.analyses.unnamed_adapters import unnamed_adapter_notes
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Usage


def instances(services: Sequence[Usage]) -> Result:
    """Count each instance's requests, distinct ControlNets and distinct LoRAs; a null in a list is one more.

    The sum of distinct adapters over instances is what caches of any size have to load at least.
    """
    tables = [_rows(usage) for usage in services]
    return Result(
        name="instances",
        title="Different LoRAs that each instance meets",
        table=pl.concat(tables),
        findings=(
            *(words for usage, table in zip(services, tables, strict=True) for words in _findings(usage, table)),
            *unnamed_adapter_notes(services),
        ),
        draw=lambda figure: _draw(figure, services, tables),
    )


def _rows(usage: Usage) -> pl.DataFrame:
    owners = usage.instances
    table = pl.DataFrame(
        {
            "instance": pl.Series(owners.names, dtype=pl.String),
            "requests": np.bincount(owners.codes, minlength=len(owners.names)),
            "distinct_controlnets": _distinct(usage, "controlnets"),
            "distinct_loras": _distinct(usage, "loras"),
        }
    )
    return table.select(pl.lit(usage.service, pl.String).alias("service"), pl.all())


def _distinct(usage: Usage, kind: AdapterColumn) -> npt.NDArray[np.int64]:
    lists = usage.lists(kind)
    owners = np.repeat(usage.instances.codes, lists.lengths).astype(np.int64)
    met = np.unique(owners * len(lists.ids.names) + lists.ids.codes)
    return np.bincount(met // max(1, len(lists.ids.names)), minlength=len(usage.instances.names))


def _line(table: pl.DataFrame) -> tuple[float, float] | None:
    """Return slope and start of the least-squares line, where more than one number of requests allows one."""
    if table["requests"].n_unique() < 2:
        return None
    slope, start = np.polyfit(table["requests"].to_numpy(), table["distinct_loras"].to_numpy(), 1)
    return float(slope), float(start)


def _findings(usage: Usage, table: pl.DataFrame) -> list[str]:
    requests, loras, uses = usage.requests, int(table["distinct_loras"].sum()), len(usage.loras.ids.codes)
    middle = {name: np.median(table[name].to_numpy()) for name in table.columns[2:]}
    name = usage.subject
    words = []
    words.append(
        f"{name}: the median of {format_count(len(table), 'instance')} gets {middle['requests']:,.0f} requests, with "
        f"{middle['distinct_loras']:,.0f} different LoRAs and {middle['distinct_controlnets']:,.0f} ControlNets."
    )
    if uses:
        words.append(
            f"{name}: caches that forget nothing would still load {loras:,} LoRAs, {loras / requests:.3f} a request, "
            f"and hit in {format_share(1 - loras / uses)} of the uses."
        )
    if line := _line(table):
        words.append(f"{name}: 100 more requests bring an instance {100 * line[0]:.1f} LoRAs that it has not met.")
    return words


def _draw(figure: Figure, services: Sequence[Usage], tables: Sequence[pl.DataFrame]) -> None:
    for axes, place in service_panels(figure, services, x="requests of the instance", y="different LoRAs"):
        table = tables[place]
        axes.scatter(table["requests"], table["distinct_loras"], s=16, color=BLUE, alpha=0.5, linewidths=0)
        if line := _line(table):
            slope, start = line
            ends = np.array([table["requests"].min(), table["requests"].max()], np.float64)
            axes.plot(ends, slope * ends + start, color=VERMILLION, linewidth=1.2)
            axes.annotate(
                f"{slope:.2f} more with each request",
                (0.03, 0.93),
                xycoords="axes fraction",
                fontsize=8.5,
                color=VERMILLION,
            )
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        in_thousands(axes.xaxis)
        in_thousands(axes.yaxis)
