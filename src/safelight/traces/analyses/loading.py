"""How many adapters instances load, with caches of so many places."""

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from safelight.traces.analyses.result import Result
from safelight.traces.analyses.service_panels import service_panels
from safelight.traces.analyses.spoken import many, share
from safelight.traces.analyses.style import BLUE, VERMILLION, in_thousands, label_ends
from safelight.traces.analyses.uses import KINDS
from safelight.traces.caches.lockstep import Hits
from safelight.traces.caches.policy import Capacities, Policy, hits_of
from safelight.traces.caches.stream import Stream, joined, stream_of
from safelight.traces.usage import Usage


def loading(services: Sequence[Usage], *, policy: Policy, sizes: Sequence[int]) -> Result:
    """Count the loads of each service's instances, each of which has one cache for ControlNets and one for LoRAs.

    Caches start empty, and a request looks up its adapters in the order of its lists, nulls in them too. Each that is
    not there is loaded, and may displace another of the same request. Loads per request are over all requests, those
    without adapters too.

    Args:
        services: whose requests.
        policy: what both caches keep.
        sizes: adapters that either cache holds.
    """
    streams = [stream_of(usage, kind) for usage in services for kind in KINDS]
    hits = hits_of(policy, joined(streams), Capacities(sizes=sizes))
    ends = np.cumsum([len(stream.keys) for stream in streams])
    missed = np.split(np.logical_not(hits, out=hits), ends[:-1], axis=1)
    tables = [
        _rows(usage, policy, sizes, streams[place : place + len(KINDS)], missed[place : place + len(KINDS)])
        for usage, place in zip(services, itertools.count(step=len(KINDS)), strict=False)
    ]
    return Result(
        name="adapters",
        title=f"Adapters loaded for each request, with {policy.title} caches",
        table=pl.concat(tables),
        findings=tuple(_finding(usage, table) for usage, table in zip(services, tables, strict=True)),
        draw=lambda figure: _draw(figure, services, tables),
    )


def _rows(
    usage: Usage, policy: Policy, sizes: Sequence[int], streams: Sequence[Stream], missed: Sequence[Hits]
) -> pl.DataFrame:
    controlnets, loras = (misses.sum(axis=1) for misses in missed)
    needs_load = np.zeros((len(sizes), usage.requests), np.bool_)
    for stream, misses in zip(streams, missed, strict=True):
        for row, missing in zip(needs_load, misses, strict=True):
            row[stream.requests[missing]] = True
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
        f"{usage.subject}: with {many(last['size'], 'place')} for each kind, instances load "
        f"{last['controlnet_loads_per_request']:.3f} ControlNets and {last['lora_loads_per_request']:.3f} LoRAs "
        f"a request, and {share(last['requests_without_loads'] / usage.requests)} of the requests find all they need."
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
