"""How many adapters a request has, and which base models it is for."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safelight.reports.formatting import format_count, format_share
from safelight.reports.result import Result
from safelight.reports.style import BLUE, VERMILLION, in_percent
from safelight.traces.analyses.service_panels import service_panels
from safelight.traces.analyses.uses import KINDS
from safelight.traces.describing import COMMON_SHARE, RARE_REQUESTS
from safelight.traces.usage import Lists, Usage

SHOWN_SHARE = 0.0005
MOST_TOLD = 6


def counting(services: Sequence[Usage]) -> Result:
    """Count each service's requests by number of ControlNets, by number of LoRAs, and by base model.

    A list that is null counts as none, and a null within a list as an adapter. Shares of adapters are of all
    requests, those of base models of the requests that name one.
    """
    table = pl.concat([_rows(usage) for usage in services])
    findings = [finding for usage in services for finding in _findings(usage)]
    return Result(
        name="counting",
        title="Adapters in a request, and base models",
        table=table,
        findings=tuple(findings),
        draw=lambda figure: _draw(figure, services),
    )


def _rows(usage: Usage) -> pl.DataFrame:
    named = [(name, count) for name, count in _base_models(usage) if name is not None]
    known = sum(count for _, count in named)
    parts = [
        _table(usage, "controlnets", _numbers(usage.controlnets), usage.requests, least=RARE_REQUESTS),
        _table(usage, "loras", _numbers(usage.loras), usage.requests),
        _table(usage, "base_model", named, known),
    ]
    return pl.concat(parts)


def _numbers(lists: Lists) -> list[tuple[str, int]]:
    return [(str(number), int(count)) for number, count in enumerate(np.bincount(lists.lengths)) if count]


def _table(usage: Usage, of: str, rows: Sequence[tuple[str, int]], total: int, *, least: int = 0) -> pl.DataFrame:
    requests = [count for _, count in rows]
    columns = {
        "service": pl.Series([usage.service] * len(rows), dtype=pl.String),
        "counted": pl.Series([of] * len(rows), dtype=pl.String),
        "value": pl.Series([value for value, _ in rows], dtype=pl.String),
        "requests": pl.Series(requests, dtype=pl.Int64),
        "share": pl.Series([count / total for count in requests], dtype=pl.Float64),
        "is_published": pl.Series([count >= least for count in requests], dtype=pl.Boolean),
    }
    return pl.DataFrame(columns)


def _findings(usage: Usage) -> Iterator[str]:
    yield (
        f"{usage.subject} has {format_count(usage.requests, 'request')} at "
        f"{format_count(len(usage.instances.names), 'instance')}."
    )
    for kind, title in KINDS.items():
        counts = _numbers(usage.lists(kind))
        shares = ", ".join(
            f"{format_share(count / usage.requests)} have {number}" for number, count in counts[:MOST_TOLD]
        )
        yield f"By number of {title}s, {shares}{', and others more' * (len(counts) > MOST_TOLD)}."
    known = [count for name, count in _base_models(usage) if name is not None]
    common = sum(count > COMMON_SHARE * sum(known) for count in known)
    yield (
        f"They name {format_count(len(known), 'base model')}; {common:,} have more than "
        f"{format_share(COMMON_SHARE)} of them each."
    )


def _base_models(usage: Usage) -> list[tuple[str | None, int]]:
    """Return base models by falling number of requests."""
    counts = np.bincount(usage.base_models.codes, minlength=len(usage.base_models.names))
    return [(usage.base_models.names[place], int(counts[place])) for place in np.argsort(-counts, kind="stable")]


def _draw(figure: Figure, services: Sequence[Usage]) -> None:
    for axes, place in service_panels(figure, services, x="adapters in a request", y="share of requests"):
        usage = services[place]
        for turn, (kind, colour) in enumerate(zip(KINDS, (BLUE, VERMILLION), strict=True)):
            shares = np.bincount(usage.lists(kind).lengths) / usage.requests
            at = np.arange(len(shares)) + (turn - 0.5) * 0.4
            bars = axes.bar(at, shares, width=0.38, color=colour, label=f"{KINDS[kind]}s")
            labels = [f"{100 * share:.1f}" if share >= SHOWN_SHARE else "" for share in shares]
            axes.bar_label(bars, labels, fontsize=7.5, padding=1, color=colour)
        axes.margins(y=0.1)
        axes.grid(visible=False, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        in_percent(axes.yaxis)
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, labelcolor="linecolor", loc="outside upper right", ncols=2)
