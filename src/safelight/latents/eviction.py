"""Which entry goes when there is no room: the one of the least decayed benefit per byte."""

import math
from dataclasses import dataclass, field

from sortedcontainers import SortedList

FIRST_WORTH = 0.25
"""A new entry counts as if it had been used for this share of its steps, so that it gets the time to be found."""


@dataclass
class _Worth:
    """Steps saved, decayed to `at_s`."""

    steps: float
    at_s: float
    size_bytes: int


@dataclass
class DecayedBenefit:
    """Entries by the steps that they have saved lately for each byte (after GDSF: Cherkasova, HPL-98-69).

    NIRVANA's LCBFU (NSDI 2024, section 4.4) counts hits times steps. Here a use counts half after each `half_life_s`,
    and large entries have to save more. As all decay alike, the order changes only by uses.
    """

    half_life_s: float
    _worth: dict[str, _Worth] = field(default_factory=dict)
    _order: "SortedList[tuple[float, str]]" = field(default_factory=SortedList)

    def __len__(self) -> int:
        return len(self._worth)

    def add(self, name: str, *, steps: int, size_bytes: int, now: float) -> None:
        """Add an entry that took `steps` to make."""
        self._put(name, _Worth(steps=FIRST_WORTH * max(1, steps), at_s=now, size_bytes=max(1, size_bytes)))

    def used(self, name: str, steps_saved: int, now: float) -> None:
        """Note that an entry has saved steps."""
        old = self._worth[name]
        decayed = old.steps * 2.0 ** (-max(0.0, now - old.at_s) / self.half_life_s)
        self.remove(name)
        self._put(name, _Worth(steps=decayed + steps_saved, at_s=max(now, old.at_s), size_bytes=old.size_bytes))

    def remove(self, name: str) -> None:
        """Remove an entry; unknown ones are ignored."""
        worth = self._worth.pop(name, None)
        if worth is not None:
            self._order.remove((self._key(worth), name))

    def least(self) -> str:
        """Return the entry that goes first."""
        return self._order[0][1]

    def _put(self, name: str, worth: _Worth) -> None:
        self._worth[name] = worth
        self._order.add((self._key(worth), name))

    def _key(self, worth: _Worth) -> float:
        return math.log2(worth.steps) - math.log2(worth.size_bytes) + worth.at_s / self.half_life_s
