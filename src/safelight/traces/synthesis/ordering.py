"""An order of an instance's requests in which adapters are used again as soon as they should.

The requests are shuffled and taken one by one, so popular adapters come often, rare ones seldom, each for the first
time at random. Before each request, a depth of the LRU stack is drawn among those that are short of their share. If
requests for the adapter at this depth are left, one of them is taken early. A request whose depth has had more than its
share goes back into the shuffled rest. So the depths come out as in an LRU stack model, while all counts stay as they
were assigned.

A request is given by its choice: the place of its combination in a list of all combinations.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from safelight.traces.synthesis.lru_stack import NEAR, LruStack
from safelight.traces.synthesis.rounding import Counts, Weights
from safelight.traces.synthesis.template import Combination

_HORIZON = 3000
"""Uses within which depths that are off their shares shall be back on them."""

_UPDATE_EVERY = 100
"""Requests between two comparisons with the shares."""

_TRIES = 8
"""Requests drawn to find one whose depth may be used."""


class Depths:
    """Compares the depths of all uses so far, over all instances of a service, with given shares.

    Args:
        shares: of all uses, by depth as `LruStack` counts them.
    """

    def __init__(self, shares: Weights) -> None:
        self._shares = shares
        self.uses = [0] * len(shares)
        self.update()

    def update(self) -> None:
        """Compare what was used with the shares."""
        missing = self._shares * (sum(self.uses) + _HORIZON) - np.array(self.uses)
        wanted = np.maximum(missing, 0)
        self._up_to = np.cumsum(wanted / wanted.sum()).tolist()
        self.is_used_up = (missing < 0).tolist()

    def wanted(self, uniform: float) -> int:
        """Return a depth from 0, those that miss more being likelier; `NEAR` stands for all beyond."""
        return min(bisect.bisect_right(self._up_to, uniform), NEAR)


class _Pool:
    """The shuffled choices of requests that are not ordered yet, all of which have adapters."""

    def __init__(self, choices: Counts, combinations: Sequence[Combination], rng: np.random.Generator) -> None:
        self._rest: list[int] = rng.permutation(choices).tolist()
        self._left = Counter(self._rest)
        self._taken_early = dict.fromkeys(self._left, 0)
        self._by_first: defaultdict[str | None, list[int]] = defaultdict(list)
        for choice in self._left:
            self._by_first[combinations[choice][0]].append(choice)

    def draw(self) -> int:
        """Remove and return the next choice that was not taken early."""
        choice = self._rest.pop()
        while self._taken_early[choice]:
            self._taken_early[choice] -= 1
            choice = self._rest.pop()
        return choice

    def put_back(self, choice: int, uniform: float) -> None:
        """Put a drawn choice back at a random place."""
        self._rest.append(choice)
        place = int(uniform * len(self._rest))
        self._rest[place], self._rest[-1] = choice, self._rest[place]

    def find(self, first: str | None, uniform: float) -> int | None:
        """Return a choice that has this adapter first, if one is left."""
        left = [choice for choice in self._by_first[first] if self._left[choice]]
        return left[int(uniform * len(left))] if left else None

    def take_early(self, choice: int) -> None:
        """Count a choice as ordered, wherever it is among the rest."""
        self._taken_early[choice] += 1
        self._left[choice] -= 1

    def take(self, choice: int) -> None:
        """Count a drawn choice as ordered."""
        self._left[choice] -= 1


def order_by_reuse(
    choices: Counts, combinations: Sequence[Combination], depths: Depths, rng: np.random.Generator
) -> Counts:
    """Return the choices of an instance's requests, which are places in `combinations`, in the order of the requests.

    Requests without adapters are spread evenly at random, as no cache sees them.
    """
    has_adapters = np.array([bool(names) for names in combinations])[choices]
    order = np.empty_like(choices)
    is_empty = rng.permutation(~has_adapters)
    order[is_empty] = choices[~has_adapters]
    order[~is_empty] = _ordered(choices[has_adapters], combinations, depths, rng)
    return order


def _ordered(
    choices: Counts, combinations: Sequence[Combination], depths: Depths, rng: np.random.Generator
) -> list[int]:
    stack, pool = LruStack(depths.uses), _Pool(choices, combinations, rng)
    ordered: list[int] = []
    for uniforms in rng.random((len(choices), 2 + _TRIES)):
        first, second, *more = uniforms.tolist()
        depth = depths.wanted(first)
        choice = pool.find(stack.at(depth), second) if depth < min(NEAR, len(stack)) else None
        if choice is None:
            choice = _drawn(pool, stack, depths, combinations, more)
            pool.take(choice)
        else:
            pool.take_early(choice)
        ordered.append(choice)
        for name in combinations[choice]:
            stack.use(name)
        if len(ordered) % _UPDATE_EVERY == 0:
            depths.update()
    depths.update()
    return ordered


def _drawn(
    pool: _Pool, stack: LruStack, depths: Depths, combinations: Sequence[Combination], uniforms: Sequence[float]
) -> int:
    """Draw until the depth of a choice's first adapter is one that may be used, or for long enough."""
    choice = pool.draw()
    for uniform in uniforms:
        if not depths.is_used_up[stack.depth_of(combinations[choice][0])]:
            break
        pool.put_back(choice, uniform)
        choice = pool.draw()
    return choice
