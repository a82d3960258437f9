"""How many adapters instances load, with caches of so many places."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safelight.reports.formatting import format_count, format_share
from safelight.reports.result import Result
from safelight.reports.style import BLUE, VERMILLION, in_thousands, label_ends
from safelight.traces.analyses.service_panels import service_panels
from safelight.traces.analyses.unnamed_adapters import unnamed_adapter_notes
from safelight.traces.analyses.uses import KINDS
from safelight.traces.caches.lockstep import Hits
from safelight.traces.caches.policy import CachePolicy, Capacities, hits_of
from safelight.traces.caches.stream import Stream, joined, stream_of
from safelight.traces.usage import Usage

MOST_TOGETHER = 10_000_000
"""Short streams are replayed faster in one go; long ones take less memory one after the other."""


def loading(
    services: Sequence[Usage], *, policy: CachePolicy, sizes: Sequence[int], most_together: int = MOST_TOGETHER
) -> Result:
    """Count the loads of each service's instances, each of which has one cache for ControlNets and one for LoRAs.

    Caches start empty, and a request looks up its adapters in the order of its lists, nulls in them too. Each that is
    not there is loaded, and may displace another of the same request. Loads per request are over all requests, those
    without adapters too.

    Args:
        services: whose requests.
        policy: what both caches keep.
        sizes: adapters that either cache holds.
        most_together: how many accesses are replayed in one go at most.
    """
    replayed = _replayed(services, policy, sizes, most_together)
    tables = [_rows(usage, policy, sizes, replayed) for usage in services]
    return Result(
        name="adapters",
        title=f"Adapters loaded for each request, with {policy.title} caches",
        table=pl.concat(tables),
        findings=(
            *(_finding(usage, table) for usage, table in zip(services, tables, strict=True)),
            *unnamed_adapter_notes(services),
        ),
        draw=lambda figure: _draw(figure, services, tables),
    )


def _replayed(
    services: Sequence[Usage], policy: CachePolicy, sizes: Sequence[int], most_together: int
) -> Iterator[tuple[Stream, Hits]]:
    """Give what misses, (sizes, accesses), for each service's ControlNets and then its LoRAs."""
    streams = (stream_of(usage, kind) for usage in services for kind in KINDS)
    capacities = Capacities(sizes=sizes)
    if sum(len(usage.lists(kind).ids.codes) for usage in services for kind in KINDS) > most_together:
        yield from ((stream, ~hits_of(policy, stream, capacities)) for stream in streams)
        return
    together = list(streams)
    missed = ~hits_of(policy, joined(together), capacities)
    ends = np.cumsum([len(stream.keys) for stream in together])
    yield from zip(together, np.split(missed, ends[:-1], axis=1), strict=True)


def _rows(
    usage: Usage, policy: CachePolicy, sizes: Sequence[int], replayed: Iterator[tuple[Stream, Hits]]
) -> pl.DataFrame:
    loads = []
    needs_load = np.zeros((len(sizes), usage.requests), np.bool_)
    for stream, missed in itertools.islice(replayed, len(KINDS)):
        loads.append(missed.sum(axis=1))
        for row, missing in zip(needs_load, missed, strict=True):
            row[stream.requests[missing]] = True
    controlnets, loras = loads
    return pl.DataFrame(
        {
            "size": pl.Series(sizes, dtype=pl.Int64),
            "requests": np.full(len(sizes), usage.requests),
            "controlnet_loads": controlnets,
            "controlnet_loads_per_request": controlnets / usage.requests,
            "lora_loads": loras,
            "lora_loads_per_request": loras / usage.requests,
            "requests_without_loads": usage.requests - needs_load.sum(axis=1),
        }
    ).select(
        pl.lit(usage.service, pl.String).alias("service"),
        pl.lit(policy.name).alias("policy"),
        pl.all(),
    )


def _finding(usage: Usage, table: pl.DataFrame) -> str:
    last = table.row(-1, named=True)
    return (
        f"{usage.subject}: with {format_count(last['size'], 'place')} for each kind, instances load "
        f"{last['controlnet_loads_per_request']:.3f} ControlNets and {last['lora_loads_per_request']:.3f} LoRAs "
        f"a request, and {format_share(last['requests_without_loads'] / usage.requests)} of the requests "
        "find all they need."
    )


def _draw(figure: Figure, services: Sequence[Usage], tables: Sequence[pl.DataFrame]) -> None:
    for axes, place in service_panels(figure, services, x="adapters that a cache holds", y="loads per request"):
        rows = tables[place].sort("size")
        for column, colour in (("controlnet_loads_per_request", BLUE), ("lora_loads_per_request", VERMILLION)):
            axes.plot(rows["size"], rows[column], "o-", markersize=4, color=colour)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        in_thousands(axes.xaxis)
        label_ends(axes, ["ControlNets", "LoRAs"])
