"""The two services of the Katz trace, from what is published of them.

`katz.json` restates the figures of the released trace analysis (Katz: Li et al., USENIX ATC 2025). It has, for each
service, every instance's requests and distinct LoRAs, the curves of popularity, the adapters loaded under LRU, and how
many LoRAs the requests have.

Which ControlNets go together is not published; `combinations` solve for it. In service A they follow from the counts:
the second one is used as often as the third and fifth together, and what is left has one solution. In service B, pairs
are known where two ControlNets are used equally often, and the rest is one of many solutions that have the published
sizes. Nor is it published which LoRAs go together. Pairs are assumed to be of like popularity, and to stay pairs,
because in service A LoRAs come back two by two. ControlNets and LoRAs are drawn independently of each other.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
import polars as pl

from safelight.traces.arrivals.process import ArrivalProcess
from safelight.traces.arrivals.renewal import Poisson
from safelight.traces.schema import AdapterColumn
from safelight.traces.synthesis.assignment import assign_combinations
from safelight.traces.synthesis.popularity import geometric_tail, singles_and_pairs, uses_by_rank
from safelight.traces.synthesis.rounding import Counts, Weights, apportion, draw_whole
from safelight.traces.synthesis.template import Assignment, Combination, InstanceRequests, spread

SERVICES = ("A", "B")

GROWTH = 0.87
"""An instance with x times as many requests has x to this power times as many distinct LoRAs (fitted over instances of
A)."""

_CONTROLNET_GROWTH = 0.15
"""The like for ControlNets; assumed, with the numbers of loads as a bound."""

_FIRST_LOADS = 0.9
"""Of the ControlNets loaded into the largest cache, the share that an instance never had before; assumed."""

_DAY_S = 86_400.0


class Rest(msgspec.Struct, frozen=True):
    """ControlNets of which only the number and the requests of all of them are known; `most`, of one, is assumed."""

    adapters: int
    requests: int
    most: int


class ControlNets(msgspec.Struct, frozen=True):
    """Of one service; ControlNets are numbered by popularity from 1."""

    combinations: list[tuple[tuple[int, ...], int]]
    rest: Rest
    lru_loads: tuple[int, ...]


class Loras(msgspec.Struct, frozen=True):
    """Of one service; `requests` are those with one LoRA and those with two."""

    adapters: int
    requests: tuple[int, int]
    cumulative_percent: list[tuple[int, float]]
    lru_loads: tuple[int, ...]


class Service(msgspec.Struct, frozen=True):
    """One service; each instance has its requests and distinct LoRAs."""

    instances: list[tuple[int, int]]
    controlnets: ControlNets
    loras: Loras


class Katz(msgspec.Struct, frozen=True):
    """What is published of the trace."""

    source: str
    days: int
    services: dict[str, Service]


@cache
def published() -> Katz:
    """Return the published figures."""
    return msgspec.json.decode(files(__package__).joinpath("katz.json").read_bytes(), type=Katz)


class KatzTemplate:
    """One service of the Katz trace; see `ServiceTemplate`."""

    table: pl.DataFrame | None = None
    is_by_the_second = True

    def __init__(self, service: str) -> None:
        self.service: str | None = service
        self._facts = published().services[service]
        self._requests, self._distinct = _serpentine(np.array(self._facts.instances)).T
        self.requests = int(self._requests.sum())
        self.instances = len(self._requests)
        self.rate = self.requests / (published().days * _DAY_S)
        self.arrivals: ArrivalProcess = Poisson()
        self.depths: dict[AdapterColumn, Weights] = {
            "controlnets": _shares(self._facts.controlnets.lru_loads, uses=self._controlnet_uses),
            "loras": _shares(self._facts.loras.lru_loads, uses=self._lora_uses),
        }

    @property
    def _controlnet_uses(self) -> int:
        facts = self._facts.controlnets
        return sum(len(names) * count for names, count in facts.combinations) + facts.rest.requests

    @property
    def _lora_uses(self) -> int:
        singles, pairs = self._facts.loras.requests
        return singles + 2 * pairs

    def assign(self, requests: int, instances: int, *, skew: float, rng: np.random.Generator) -> Assignment:
        """Return the requests of each of so many instances."""
        chosen = spread(self.instances, instances)
        its_requests = apportion(self._requests[chosen], requests, least=1)
        distinct = self._distinct[chosen] * (its_requests / self._requests[chosen]) ** GROWTH
        controlnets, controlnet_choices = self._assign_controlnets(its_requests, rng)
        loras, lora_choices = self._assign_loras(its_requests, distinct, skew, rng)
        return Assignment(
            combinations={"controlnets": controlnets, "loras": loras},
            instances=[
                InstanceRequests(choices={"controlnets": some, "loras": others})
                for some, others in zip(controlnet_choices, lora_choices, strict=True)
            ],
        )

    def _assign_controlnets(self, requests: Counts, rng: np.random.Generator) -> tuple[list[Combination], list[Counts]]:
        facts = self._facts.controlnets
        known = max(max(names) for names, _ in facts.combinations)
        rest = geometric_tail(facts.rest.adapters, facts.rest.requests, most=facts.rest.most)
        combinations = [names for names, _ in facts.combinations]
        combinations += [(known + 1 + place,) for place in range(len(rest))]
        popularity = np.array([count for _, count in facts.combinations] + rest.tolist())
        growing = self._requests**_CONTROLNET_GROWTH
        distinct = requests**_CONTROLNET_GROWTH * (_FIRST_LOADS * facts.lru_loads[-1] / growing.sum())
        return self._assign(
            combinations, popularity.astype(float), requests=requests, distinct=distinct, kind="controlnet", rng=rng
        )

    def _assign_loras(
        self, requests: Counts, distinct: Weights, skew: float, rng: np.random.Generator
    ) -> tuple[list[Combination], list[Counts]]:
        facts = self._facts.loras
        singles, pairs = facts.requests
        by_rank = uses_by_rank(facts.cumulative_percent, adapters=facts.adapters, uses=self._lora_uses)
        combinations, popularity = singles_and_pairs(by_rank, singles=singles, pairs=pairs)
        combinations = [tuple(rank + 1 for rank in names) for names in combinations]
        skewed = popularity**skew * (popularity.sum() / (popularity**skew).sum())
        return self._assign(combinations, skewed, requests=requests, distinct=distinct, kind="lora", rng=rng)

    def _assign(
        self,
        combinations: list[tuple[int, ...]],
        popularity: Weights,
        *,
        requests: Counts,
        distinct: Weights,
        kind: str,
        rng: np.random.Generator,
    ) -> tuple[list[Combination], list[Counts]]:
        """Assign the combinations, of which requests have `popularity` in the original, and name them."""
        most = max(map(len, combinations))
        distinct_s = np.clip(np.round(distinct), 1, most * requests).astype(np.int64)
        without = apportion(requests, round(requests.sum() * (1 - popularity.sum() / self.requests)))
        having = requests - np.minimum(without, requests + distinct_s // -most)
        whole = _draw_by_size(combinations, popularity, int(having.sum()), rng)
        there = np.flatnonzero(whole)
        assigned = assign_combinations(
            [combinations[place] for place in there.tolist()],
            whole[there],
            requests=having,
            distinct=distinct_s,
            rng=rng,
        )
        names = [tuple(f"{self.service}-{kind}-{number}" for number in combinations[place]) for place in there.tolist()]
        empty = len(names)
        choices = [
            np.append(own, np.full(count - len(own), empty))
            for own, count in zip(assigned, requests.tolist(), strict=True)
        ]
        return [*names, ()], choices


def _serpentine(instances: Counts) -> Counts:
    """Order instances so that some, evenly spaced, stand for all in their requests and in their distinct LoRAs.

    By bands of like requests, and in these by distinct LoRAs for each request, up and down in turn.
    """
    by_requests = instances[np.argsort(-instances[:, 0], kind="stable")]
    bands = []
    for place, band in enumerate(np.array_split(by_requests, round(len(instances) ** 0.5))):
        order = np.argsort(band[:, 1] / band[:, 0], kind="stable")
        bands.append(band[order[:: -1 if place % 2 else 1]])
    return np.concatenate(bands)


def _shares(lru_loads: Sequence[int], *, uses: int) -> Weights:
    """Return which share of uses finds its adapter at each depth: what a larger cache no longer loads."""
    return np.append(-np.diff([uses, *lru_loads]), lru_loads[-1]) / uses


def _draw_by_size(
    combinations: Sequence[tuple[int, ...]], popularity: Weights, total: int, rng: np.random.Generator
) -> Counts:
    """Return how many of `total` requests have each combination; no number of adapters is drawn more than its share."""
    sizes = np.array([len(names) for names in combinations])
    whole = np.zeros(len(sizes), np.int64)
    totals = apportion(np.bincount(sizes, popularity), total)
    for size in np.unique(sizes).tolist():
        whole[sizes == size] = draw_whole(popularity[sizes == size], int(totals[size]), rng)
    return whole
