"""Making the requests of a trace up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from safelight.core.errors import shorten
from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.diurnal import Diurnal
from safelight.traces.arrivals.process import ArrivalProcess, first
from safelight.traces.errors import CannotSynthesize
from safelight.traces.schema import ADAPTERS, MADE_UP, AdapterColumn, conform
from safelight.traces.synthesis.likeness import MOST_REQUESTS, Combination, Dealt, Likeness
from safelight.traces.synthesis.ordering import Depths, play
from safelight.traces.synthesis.rounding import Counts, apportion

MOST_SKEW = 10.0


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a synthesized trace has different from the original.

    Attributes:
        requests: how many; as many as the original if None.
        instances: how many serve them; if None, so many that each has as many requests as in the original.
        rate_scale: how many times as many requests arrive in each second.
        skew: combinations of LoRAs are as popular as in the original, raised to this power.
        diurnal: amplitude of a daily swing of the rate, as a share of the mean; 0 is none.
        bursts: how many times as high the rate is in bursts as between them; 1 is no bursts.
    """

    requests: int | None = None
    instances: int | None = None
    rate_scale: float = 1.0
    skew: float = 1.0
    diurnal: float = 0.0
    bursts: float = 1.0

    def __post_init__(self) -> None:
        for name in ("requests", "instances"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_REQUESTS:
                raise CannotSynthesize(f"The number of {name} is {value}, but it must be from 1 to {MOST_REQUESTS:,}.")
        if not 0 < self.rate_scale < np.inf:
            raise CannotSynthesize(f"The rate scale is {shorten(self.rate_scale)}, but it must be a positive number.")
        if not 0 <= self.skew <= MOST_SKEW:
            raise CannotSynthesize(f"The skew is {shorten(self.skew)}, but it must be between 0 and {MOST_SKEW:g}.")

    def arrivals(self, process: ArrivalProcess) -> ArrivalProcess:
        """Return the process with a day and bursts around it."""
        if self.diurnal:
            process = Diurnal(amplitude=self.diurnal, of=process)
        if self.bursts != 1:
            process = Bursty(factor=self.bursts, of=process)
        return process


def synthesize(likenesses: Sequence[Likeness], wishes: Wishes, *, seed: int) -> pl.DataFrame:
    """Return a canonical table of requests like those of some services, in order of arrival.

    Raises:
        CannotSynthesize: if there are fewer requests than instances, or fewer instances than services.
        BadArrivals: if the day or the bursts cannot be.
    """
    requests = _split("requests", wishes.requests, [each.requests for each in likenesses])
    instances = (
        [_in_proportion(likeness, count) for likeness, count in zip(likenesses, requests, strict=True)]
        if wishes.instances is None
        else _split("instances", wishes.instances, [each.instances for each in likenesses])
    )
    rngs = np.random.default_rng(seed).spawn(len(likenesses))
    services = [
        _service(likeness, wishes, requests=count, instances=servers, rng=rng)
        for likeness, count, servers, rng in zip(likenesses, requests, instances, rngs, strict=True)
    ]
    table = pl.concat(services).sort("arrival_s", maintain_order=True)
    ids = pl.format("synthesized-{}", pl.int_range(1, pl.len() + 1))
    return table.with_columns(request_id=ids)


def _in_proportion(likeness: Likeness, requests: int) -> int:
    return max(1, round(likeness.instances * requests / likeness.requests))


def _split(what: str, wanted: int | None, theirs: Sequence[int]) -> list[int]:
    """Return how many of something each service gets."""
    if wanted is None:
        return list(theirs)
    if wanted < len(theirs):
        raise CannotSynthesize(
            f"There are {len(theirs)} services, so there must be at least as many {what}, not {wanted}."
        )
    return [int(share) for share in apportion(np.array(theirs), wanted, least=1)]


def _service(
    likeness: Likeness, wishes: Wishes, *, requests: int, instances: int, rng: np.random.Generator
) -> pl.DataFrame:
    if requests < instances:
        raise CannotSynthesize(
            f"{requests:,} requests cannot be shared among {instances:,} instances; ask for fewer instances."
        )
    dealt = likeness.deal(requests, instances, skew=wishes.skew, rng=rng)
    rate = likeness.rate * instances / likeness.instances * wishes.rate_scale
    arrivals_s = first(wishes.arrivals(likeness.arrivals), requests, rate=rate, rng=rng)
    of_instance = np.repeat(np.arange(instances), [len(hand) for hand in dealt.hands])
    turns = rng.permutation(of_instance)
    # The place of each request in what follows, which is by instance.
    by_instance = np.empty_like(turns)
    by_instance[np.argsort(turns, kind="stable")] = np.arange(requests)
    orders = {kind: _order(likeness, dealt, kind, rng) for kind in dealt.combinations}
    table = _like_rows(likeness, dealt, orders, rng) if likeness.table is not None else _new(dealt, orders)
    names = pl.Series([f"{MADE_UP}{likeness.service or 'service'}-{place + 1}" for place in range(instances)])
    return _canonical(
        table[by_instance].with_columns(
            pl.lit("synthesized").alias("origin"),
            pl.lit(likeness.service, pl.String).alias("service"),
            pl.Series("arrival_s", np.floor(arrivals_s) if likeness.is_by_the_second else arrivals_s),
            names.gather(turns).alias("instance"),
        )
    )


def _order(likeness: Likeness, dealt: Dealt, kind: AdapterColumn, rng: np.random.Generator) -> Counts:
    """Return the combination of each request, instance by instance."""
    depths = Depths(likeness.depths[kind])
    return np.concatenate([play(hand.cards[kind], dealt.combinations[kind], depths, rng) for hand in dealt.hands])


def _new(dealt: Dealt, orders: Mapping[AdapterColumn, Counts]) -> pl.DataFrame:
    """Return requests that have nothing but adapters, instance by instance."""
    return pl.DataFrame([_adapters(kind, dealt.combinations[kind], order) for kind, order in orders.items()])


def _like_rows(
    likeness: Likeness, dealt: Dealt, orders: Mapping[AdapterColumn, Counts], rng: np.random.Generator
) -> pl.DataFrame:
    """Return requests like rows of the table, instance by instance; ControlNets may be of another row."""
    assert likeness.table is not None
    rows = _rows(dealt, "loras", orders, rng)
    if "controlnets" not in orders:
        return likeness.table[rows]
    controlnets = likeness.table["controlnets"].gather(_rows(dealt, "controlnets", orders, rng))
    return likeness.table[rows].with_columns(controlnets)


def _rows(
    dealt: Dealt, kind: AdapterColumn, orders: Mapping[AdapterColumn, Counts], rng: np.random.Generator
) -> Counts:
    """Return rows that were dealt, instance by instance, so that they have the combinations of one kind in order."""
    chosen: list[Counts] = []
    start = 0
    for hand in dealt.hands:
        assert hand.rows is not None
        shuffled = rng.permutation(len(hand))
        if kind in orders:
            order = orders[kind][start : start + len(hand)]
            shuffled = shuffled[np.argsort(hand.cards[kind][shuffled], kind="stable")]
            shuffled = shuffled[np.argsort(np.argsort(order, kind="stable"))]
        chosen.append(hand.rows[shuffled])
        start += len(hand)
    return np.concatenate(chosen)


def _adapters(kind: AdapterColumn, combinations: Sequence[Combination], order: Counts) -> pl.Series:
    adapters = [[{"name": name, "scale": None} for name in names] for names in combinations]
    return pl.Series(kind, adapters, ADAPTERS).gather(order)


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    return conform(frame.lazy()).collect()
