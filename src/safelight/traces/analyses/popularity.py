"""Which adapters are asked for, and how often."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safelight.reports.formatting import format_count, format_share, shorten_name
from safelight.reports.result import Result
from safelight.reports.style import SERIES, in_percent, in_thousands, panel
from safelight.traces.analyses.service_panels import shown
from safelight.traces.analyses.uses import KINDS
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Usage

COMMON_SHARE = 0.01
QUARTERS = (0.25, 0.5, 0.75)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """One kind of a service's adapters by falling number of uses: their places among its names, and the numbers."""

    kind: AdapterColumn
    order: Integers
    uses: Integers


def popularity(services: Sequence[Usage]) -> Result:
    """Rank each service's ControlNets and LoRAs by how often requests list them.

    A null in a list of ControlNets counts as one ControlNet, a null in a list of LoRAs does not count, as in the
    scripts published with the Katz trace. Ties stand in order of names.
    """
    ranked = [[_ranked(usage, kind) for kind in KINDS] for usage in services]
    pairs = [(usage, each) for usage, kinds in zip(services, ranked, strict=True) for each in kinds]
    return Result(
        name="popularity",
        title="How few adapters most uses fall on",
        table=pl.concat([_rows(usage, each) for usage, each in pairs]),
        findings=tuple(sentence for usage, each in pairs for sentence in _findings(usage, each)),
        draw=lambda figure: _draw(figure, services, ranked),
    )


def _ranked(usage: Usage, kind: AdapterColumn) -> Ranked:
    ids = usage.lists(kind).ids
    names = len(ids.names)
    if kind == "loras" and names and ids.names[-1] is None:
        names -= 1
    uses = np.bincount(ids.codes, minlength=len(ids.names))[:names]
    order = np.argsort(-uses, kind="stable")
    return Ranked(kind=kind, order=order, uses=uses[order])


def _rows(usage: Usage, ranked: Ranked) -> pl.DataFrame:
    total = max(1, ranked.uses.sum())
    table = pl.DataFrame(
        {
            "rank": np.arange(1, len(ranked.uses) + 1),
            "name": pl.Series(usage.lists(ranked.kind).ids.names, dtype=pl.String).gather(ranked.order),
            "uses": ranked.uses,
            "share": ranked.uses / total,
            "cumulative_share": np.cumsum(ranked.uses) / total,
        }
    )
    service = pl.lit(usage.service, pl.String).alias("service")
    return table.select(service, pl.lit(ranked.kind).alias("adapters"), pl.all())


def _findings(usage: Usage, ranked: Ranked) -> Iterator[str]:
    uses, title = ranked.uses, KINDS[ranked.kind]
    if not len(uses):
        yield f"{usage.subject} names no {title}s."
        return
    shares, so_far = uses / uses.sum(), np.cumsum(uses) / uses.sum()
    top = min(5, len(uses))
    yield (
        f"{usage.subject} uses {format_count(len(uses), title)} {uses.sum():,} times, "
        f"{uses.sum() / usage.requests:.2f} times "
        f"a request; the {top} most used have {format_share(so_far[top - 1])} of the uses."
    )
    reached = ", ".join(f"{np.searchsorted(so_far, quarter - 1e-12) + 1:,}" for quarter in QUARTERS)
    yield (
        f"{np.sum(shares > COMMON_SHARE):,} of these {title}s have more than {format_share(COMMON_SHARE)} "
        "of the uses each, "
        f"{np.sum(shares < COMMON_SHARE):,} have less; 25, 50 and 75 % of the uses fall on the {reached} most used."
    )


def _draw(figure: Figure, services: Sequence[Usage], ranked: Sequence[Sequence[Ranked]]) -> None:
    places = shown(services)
    for number, (kind, title) in enumerate(KINDS.items(), 1):
        x = f"number of most used {title}s"
        axes = panel(figure, position=(1, 2, number), x=x, y="share of uses", title=f"{title}s")
        lines = [(services[place], each.uses) for place in places for each in ranked[place] if each.kind == kind]
        axes.set_xscale("log")
        axes.set_xlim(0.9, 1.1 * max(2, *(len(uses) for _, uses in lines), 2))
        axes.set_ylim(0, 1.03)
        for turn, (usage, uses) in enumerate(lines):
            if len(uses):
                _draw_line(axes, usage, uses, turn=turn)
        in_thousands(axes.xaxis)
        in_percent(axes.yaxis)


def _draw_line(axes: Axes, usage: Usage, uses: Integers, *, turn: int) -> None:
    """Draw how the share grows, mark where it reaches one half, and write that in the corner."""
    so_far = np.cumsum(uses) / uses.sum()
    half = int(np.searchsorted(so_far, 0.5 - 1e-12))
    colour = SERIES[turn % len(SERIES)]
    axes.plot(np.arange(1, len(uses) + 1), so_far, color=colour)
    axes.plot(half + 1, so_far[half], "o", color=colour, markersize=5)
    axes.annotate(
        f"{shorten_name(usage.title)}: half on {half + 1:,} of {len(uses):,}",
        (1, 0),
        xytext=(-4, 6 + 12 * turn),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=colour,
    )
