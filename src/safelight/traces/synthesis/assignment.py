"""Which combinations of adapters each instance gets, so that the known counts of both come out."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from safelight.traces.synthesis.rounding import Counts, Weights, draw_whole

_EVENNESS = 0.7
"""Combinations come to an instance with odds that are their popularity raised to this power: below 1, so that the
rarest are not left to the last instances."""

_ROUNDS = 60
"""Of proportional fitting."""


def assign_combinations(
    combinations: Sequence[tuple[int, ...]],
    popularity: Counts,
    *,
    requests: Counts,
    distinct: Counts,
    rng: np.random.Generator,
) -> list[Counts]:
    """Return the choices of each instance's requests, as places in `combinations`.

    Args:
        combinations: as numbers of adapters, none of them empty.
        popularity: how many requests have each combination.
        requests: how many each instance has; the same in total.
        distinct: how many distinct adapters each instance has.
        rng: the only source of randomness.

    Returns:
        For each instance, exactly its number of requests, with exactly these numbers of distinct adapters wherever
        combinations allow it, and with each combination as often as it should be but for rounding.
    """
    kinds = _kinds(combinations, popularity, requests=requests, distinct=distinct, rng=rng)
    instance = np.repeat(np.arange(len(kinds)), [len(kind) for kind in kinds])
    combination = np.concatenate(kinds)
    more = _fit(
        instance,
        combination,
        rows=requests - np.bincount(instance, minlength=len(requests)),
        columns=np.maximum(popularity - np.bincount(combination, minlength=len(popularity)), 0),
    )
    choices = []
    for place, kind in enumerate(kinds):
        again = draw_whole(more[instance == place], int(requests[place]) - len(kind), rng)
        choices.append(np.repeat(kind, 1 + again))
    return choices


def _kinds(
    combinations: Sequence[tuple[int, ...]],
    popularity: Counts,
    *,
    requests: Counts,
    distinct: Counts,
    rng: np.random.Generator,
) -> list[Counts]:
    """Return which combinations each instance has at all."""
    left, odds = popularity.copy(), popularity**_EVENNESS
    kinds: list[list[int]] = [[] for _ in requests]
    for instance in rng.permutation(len(requests)).tolist():
        keys = rng.exponential(size=len(left)) / odds
        keys[left == 0] = np.inf
        order = np.argsort(keys)[: np.count_nonzero(left)]
        kinds[instance] = _enough(order.tolist(), combinations, most=requests[instance], distinct=distinct[instance])
        left[kinds[instance]] -= 1
    _include_all(kinds, combinations, rng)
    return [np.array(kind, np.int64) for kind in kinds]


def _enough(order: Sequence[int], combinations: Sequence[tuple[int, ...]], *, most: int, distinct: int) -> list[int]:
    """Return the first combinations that have so many distinct adapters together; of too many, the largest ones."""
    adapters, kinds = set[int](), list[int]()
    for kind in order:
        if len(adapters) < distinct:
            both = adapters.union(combinations[kind])
            if len(both) <= distinct:
                adapters = both
                kinds.append(kind)
        elif adapters.issuperset(combinations[kind]):
            kinds.append(kind)
    return sorted(kinds or order[:1], key=lambda kind: -len(combinations[kind]))[:most]


def _include_all(kinds: list[list[int]], combinations: Sequence[tuple[int, ...]], rng: np.random.Generator) -> None:
    """Let combinations that no instance has take the place of others of their size that many instances have."""
    instances_with = Counter(kind for its_kinds in kinds for kind in its_kinds)
    missing = [kind for kind in range(len(combinations)) if not instances_with[kind]]
    places = [(instance, place) for instance, its_kinds in enumerate(kinds) for place in range(len(its_kinds))]
    shuffled = iter(rng.permutation(len(places)).tolist())
    for kind in missing:
        for instance, place in (places[each] for each in shuffled):
            other = kinds[instance][place]
            if instances_with[other] > 1 and len(combinations[other]) == len(combinations[kind]):
                kinds[instance][place] = kind
                instances_with[other] -= 1
                break


def _fit(instance: Counts, combination: Counts, *, rows: Counts, columns: Counts) -> Weights:
    """Return numbers at places (instance, combination) whose sums by instance and by combination are as given.

    Iterative proportional fitting (Deming and Stephan, Annals of Mathematical Statistics 11(4), 1940); it ends with the
    sums by instance.
    """
    fitted = np.ones(len(instance))
    for _ in range(_ROUNDS):
        for place, sums in ((combination, columns), (instance, rows)):
            found = np.bincount(place, fitted, minlength=len(sums))
            fitted *= np.divide(sums, found, out=np.zeros(len(sums)), where=found > 0)[place]
    return fitted
