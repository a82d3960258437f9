"""What caches of adapters are worth: policies against each other and the best there can be, in loads and in seconds."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from safelight.reports.formatting import format_count, format_share, shorten_name
from safelight.reports.result import Result
from safelight.reports.style import QUIET, SERIES, WIDE_IN, in_thousands, label_ends, panel
from safelight.traces.analyses.service_panels import shown
from safelight.traces.analyses.unnamed_adapters import unnamed_adapter_notes
from safelight.traces.analyses.uses import KINDS
from safelight.traces.caches.lockstep import Hits
from safelight.traces.caches.lru import Integers
from safelight.traces.caches.policy import BELADY, LRU, CachePolicy, Capacities, hits_of
from safelight.traces.caches.stream import Stream, stream_of
from safelight.traces.caches.tiers import LOAD_TIMES, LoadTimes
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Name, Usage

GIB = 1 << 30
WIDE_RANGE = 20
"""Sizes so many times as large as the smallest are drawn on a logarithmic axis."""


@dataclass(frozen=True, kw_only=True)
class Caches:
    """What each instance has, for one kind of adapter.

    Attributes:
        adapters: the kind.
        policies: what is tried on the device.
        sizes: of the device's cache, in adapters, or in bytes where `bytes_of` is given.
        host_size: of a cache in the host's memory, in the same unit; 0 for none. It sees every access and keeps LRU.
        bytes_of: tells the bytes of adapters with these names.
        by_base: whether an adapter beside another base model is another adapter.
        times: of loads from the host and from afar.
    """

    adapters: AdapterColumn
    policies: Sequence[CachePolicy]
    sizes: Sequence[int]
    host_size: int = 0
    bytes_of: Callable[[Sequence[Name]], Integers] | None = None
    by_base: bool = False
    times: LoadTimes | None = None


def caching(services: Sequence[Usage], caches: Caches) -> Result:
    """Replay each service's requests with each policy and size.

    A request is complete if no adapter of it has to be loaded. Seconds are those that devices wait for loads, over all
    requests of the service.

    Raises:
        CountsOnly: if sizes are in bytes and a policy does not know bytes.
    """
    tables = [_rows(usage, caches) for usage in services]
    return Result(
        name="caches",
        title=f"What caches of {KINDS[caches.adapters]}s are worth"
        + " (another base model, another adapter)" * caches.by_base,
        table=pl.concat(tables),
        findings=(
            *(
                sentence
                for usage, table in zip(services, tables, strict=True)
                for sentence in _findings(usage, table, caches)
            ),
            *_left_out(caches, tables),
            *unnamed_adapter_notes(services, [caches.adapters]),
        ),
        draw=lambda figure: _draw(figure, services, tables, caches),
    )


def _rows(usage: Usage, caches: Caches) -> pl.DataFrame:
    stream = stream_of(usage, caches.adapters, by_base=caches.by_base)
    weights = None
    if caches.bytes_of is not None:
        weights = caches.bytes_of(usage.lists(caches.adapters).ids.names)[stream.adapters]
    host = np.zeros(len(stream.keys), np.bool_)
    if caches.host_size:
        host = hits_of(LRU, stream, Capacities(sizes=[caches.host_size], weights=weights))[0]
    rows = []
    for policy in caches.policies:
        sizes = _possible(policy, caches.sizes, weights)
        hits = hits_of(policy, stream, Capacities(sizes=sizes, weights=weights)) if sizes else ()
        rows += [
            _row(stream, caches, host, policy=policy, size=size, hit=hit) for size, hit in zip(sizes, hits, strict=True)
        ]
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return table.select(
        pl.lit(usage.service, pl.String).alias("service"), pl.lit(caches.adapters).alias("adapters"), pl.all()
    )


_SCHEMA = {
    "policy": pl.String,
    "size": pl.Int64,
    "requests": pl.Int64,
    "uses": pl.Int64,
    "loads": pl.Int64,
    "loads_per_request": pl.Float64,
    "hit_ratio": pl.Float64,
    "complete_requests": pl.Int64,
    "complete_ratio": pl.Float64,
    "loads_from_host": pl.Int64,
    "loads_from_afar": pl.Int64,
    "seconds_per_request": pl.Float64,
    "gpu_hours": pl.Float64,
}


def _possible(policy: CachePolicy, sizes: Sequence[int], weights: Integers | None) -> list[int]:
    if weights is None:
        return [size for size in sizes if size >= policy.least]
    return [size for size in sizes if policy.least == 1 or 2 * size >= (2 * policy.least + 1) * weights.max(initial=0)]


def _row(
    stream: Stream, caches: Caches, host: Hits, *, policy: CachePolicy, size: int, hit: Hits
) -> tuple[object, ...]:
    requests, uses = stream.request_count, len(stream.keys)
    waits = np.zeros(requests, np.bool_)
    waits[stream.requests[~hit]] = True
    asks = np.zeros(requests, np.bool_)
    asks[stream.requests] = True
    complete, asking = int((asks & ~waits).sum()), int(asks.sum())
    from_host, from_afar = int((~hit & host).sum()), int((~hit & ~host).sum())
    times = caches.times or LOAD_TIMES[caches.adapters]
    seconds = from_host * times.host_s + from_afar * times.far_s
    loads = from_host + from_afar
    return (
        *(policy.name, size, requests, uses, loads, loads / requests, 1 - loads / uses if uses else None),
        *(complete, complete / asking if asking else None),
        *(from_host, from_afar, seconds / requests, seconds / 3600),
    )


def _findings(usage: Usage, table: pl.DataFrame, caches: Caches) -> list[str]:
    if table.is_empty() or not table["uses"][0]:
        return [f"{usage.subject} asks for no {KINDS[caches.adapters]}s."]
    last = table.filter(pl.col("size") == table["size"].max())
    real = last.filter(pl.col("policy") != BELADY.name).sort("loads", maintain_order=True)
    titles = {policy.name: policy.title for policy in caches.policies}
    words = []
    if len(real):
        best = real.row(0, named=True)
        words.append(
            f"{usage.subject}: in caches of {_size(best['size'], caches)}, {titles[best['policy']]} "
            f"loads least, {best['loads_per_request']:.3f} {KINDS[caches.adapters]}s a request: "
            f"{format_share(best['hit_ratio'])} of the uses hit, "
            f"{format_share(best['complete_ratio'])} of the requests that ask for any wait for none, and devices wait "
            f"{best['seconds_per_request']:.2f} s a request, {best['gpu_hours']:,.0f} hours in all."
        )
    bound = last.filter(pl.col("policy") == BELADY.name)
    if len(bound):
        words.append(f"No policy could load fewer than {bound['loads_per_request'][0]:.3f} a request there (Belady).")
    return words


def _left_out(caches: Caches, tables: Sequence[pl.DataFrame]) -> list[str]:
    table = pl.concat(tables)
    shown = {(policy, size) for policy, size in table.select("policy", "size").iter_rows()}
    return [
        f"{policy.title} cannot keep caches as small as {_size(max(missing), caches)}."
        for policy in caches.policies
        if (missing := [size for size in caches.sizes if (policy.name, size) not in shown])
    ]


def _size(size: int, caches: Caches) -> str:
    return format_count(size, "adapter") if caches.bytes_of is None else f"{size / GIB:,.3g} GiB"


def _draw(figure: Figure, services: Sequence[Usage], tables: Sequence[pl.DataFrame], caches: Caches) -> None:
    drawn = {"loads_per_request": "loads per request", "seconds_per_request": "seconds of loading per request"}
    places = shown(services)
    figure.set_size_inches(WIDE_IN[0], WIDE_IN[1] * max(1, 0.8 * len(places)))
    numbers = itertools.count(1)
    for place in places:
        for column, y in drawn.items():
            x = "adapters that the device holds" if caches.bytes_of is None else "device cache (GiB)"
            title = shorten_name(services[place].title)
            axes = panel(figure, position=(len(places), len(drawn), next(numbers)), x=x, y=y, title=title)
            _draw_lines(axes, tables[place], caches, column)


def _draw_lines(axes: Axes, table: pl.DataFrame, caches: Caches, column: str) -> None:
    unit = 1 if caches.bytes_of is None else GIB
    if max(caches.sizes) > WIDE_RANGE * min(caches.sizes):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    colours = itertools.cycle(SERIES)
    for policy in caches.policies:
        rows = table.filter(pl.col("policy") == policy.name).sort("size")
        is_bound = policy is BELADY
        colour = QUIET if is_bound else next(colours)
        axes.plot(rows["size"] / unit, rows[column], "--" if is_bound else "o-", markersize=3, color=colour)
    axes.set_ylim(bottom=0)
    in_thousands(axes.xaxis)
    label_ends(axes, [policy.title for policy in caches.policies])
