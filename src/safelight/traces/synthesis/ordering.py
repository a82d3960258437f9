"""Putting an instance's requests in an order in which adapters come back as soon as they should.

The hand is shuffled and played card by card: popular adapters come often, rare ones seldom, each for the first time
when luck has it. Before each request, a depth is drawn among those that are short of their share; if an adapter lies at
this depth, by the time of its last use, and has cards left, one of them is played early. A card whose depth has had
more than its share goes back into the shuffled rest. This is the LRU stack model (Mattson et al., IBM Systems Journal
9(2), 1970), held to a hand in which all counts are right already.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from safelight.traces.synthesis.likeness import Combination
from safelight.traces.synthesis.rounding import Counts, Weights

NEAR = 10
"""Depths that are looked at one by one."""

_HORIZON = 3000
"""Uses within which depths that are off their shares shall be back on them."""

_SETTLE = 100
"""Requests between two looks at the shares."""

_TRIES = 8
"""Cards looked at for one whose depth may be used."""


class Depths:
    """Counts at which depths adapters are used, over all instances of a service, and tells what is missing.

    The depth of a use is the number of distinct adapters used since, the adapter itself included; the last entry is for
    all beyond `NEAR`, and for the first use of all.
    """

    def __init__(self, shares: Weights) -> None:
        self._shares = shares
        self.uses = [0] * len(shares)
        self.settle()

    def settle(self) -> None:
        """Compare what was used with the shares."""
        missing = self._shares * (sum(self.uses) + _HORIZON) - np.array(self.uses)
        wanted = np.maximum(missing, 0)
        self._up_to = np.cumsum(wanted / wanted.sum()).tolist()
        self.is_used_up = (missing < 0).tolist()

    def wanted(self, luck: float) -> int:
        """Return a depth from 0, those that miss more being likelier; `NEAR` stands for all beyond."""
        return min(bisect.bisect_right(self._up_to, luck), NEAR)


class _Stack:
    """The adapters that an instance has used, the last one last."""

    def __init__(self, depths: Depths) -> None:
        self._depths = depths
        self._names: list[str | None] = []
        self._known = set[str | None]()

    def __len__(self) -> int:
        return len(self._names)

    def at(self, depth: int) -> str | None:
        """Return the adapter at a depth from 0."""
        return self._names[-1 - depth]

    def depth_of(self, name: str | None) -> int:
        """Return how deep an adapter lies, `NEAR` if it is deeper or new."""
        near = self._names[-NEAR:]
        return len(near) - 1 - near.index(name) if name in near else NEAR

    def use(self, name: str | None) -> None:
        """Take an adapter to the top, and count from where."""
        depth = self.depth_of(name)
        self._depths.uses[depth] += 1
        if depth < NEAR:
            del self._names[-1 - depth]
        elif name in self._known:
            self._names.remove(name)
        self._known.add(name)
        self._names.append(name)


class _Deck:
    """A shuffled hand of combinations, none of them empty."""

    def __init__(self, cards: Counts, combinations: Sequence[Combination], rng: np.random.Generator) -> None:
        self._rest: list[int] = rng.permutation(cards).tolist()
        self._left = Counter(self._rest)
        self._played_early = dict.fromkeys(self._left, 0)
        self._by_first: defaultdict[str | None, list[int]] = defaultdict(list)
        for card in self._left:
            self._by_first[combinations[card][0]].append(card)

    def draw(self) -> int:
        """Take the next card that was not played early."""
        card = self._rest.pop()
        while self._played_early[card]:
            self._played_early[card] -= 1
            card = self._rest.pop()
        return card

    def put_back(self, card: int, luck: float) -> None:
        """Put a drawn card somewhere into the rest."""
        self._rest.append(card)
        place = int(luck * len(self._rest))
        self._rest[place], self._rest[-1] = card, self._rest[place]

    def find(self, first: str | None, luck: float) -> int | None:
        """Return a card that has this adapter first, if one is left."""
        left = [card for card in self._by_first[first] if self._left[card]]
        return left[int(luck * len(left))] if left else None

    def play_early(self, card: int) -> None:
        """Count a card as played, wherever it is in the rest."""
        self._played_early[card] += 1
        self._left[card] -= 1

    def play(self, card: int) -> None:
        """Count a drawn card as played."""
        self._left[card] -= 1


def play(hand: Counts, combinations: Sequence[Combination], depths: Depths, rng: np.random.Generator) -> Counts:
    """Return a hand, given as places in `combinations`, in the order of its requests.

    Requests without adapters are spread evenly by luck, as no cache sees them.
    """
    has_adapters = np.array([bool(names) for names in combinations])[hand]
    order = np.empty_like(hand)
    is_empty = rng.permutation(~has_adapters)
    order[is_empty] = hand[~has_adapters]
    order[~is_empty] = _played(hand[has_adapters], combinations, depths, rng)
    return order


def _played(cards: Counts, combinations: Sequence[Combination], depths: Depths, rng: np.random.Generator) -> list[int]:
    stack, deck = _Stack(depths), _Deck(cards, combinations, rng)
    played: list[int] = []
    for luck in rng.random((len(cards), 2 + _TRIES)):
        first, second, *more = luck.tolist()
        depth = depths.wanted(first)
        card = deck.find(stack.at(depth), second) if depth < min(NEAR, len(stack)) else None
        if card is None:
            card = _drawn(deck, stack, depths, combinations, more)
            deck.play(card)
        else:
            deck.play_early(card)
        played.append(card)
        for name in combinations[card]:
            stack.use(name)
        if len(played) % _SETTLE == 0:
            depths.settle()
    depths.settle()
    return played


def _drawn(
    deck: _Deck, stack: _Stack, depths: Depths, combinations: Sequence[Combination], luck: Sequence[float]
) -> int:
    """Draw until the depth of a card's first adapter is one that may be used, or for long enough."""
    card = deck.draw()
    for place in luck[1:]:
        if not depths.is_used_up[stack.depth_of(combinations[card][0])]:
            break
        deck.put_back(card, place)
        card = deck.draw()
    return card
