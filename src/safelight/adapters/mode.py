"""What the weights may hold during a tick, what that costs, and the type of a choice."""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import msgspec

from safelight.core.adapter import NO_ADAPTERS, Composition


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """What is folded into the weights, and whether rows of other compositions run too, with low-rank corrections."""

    folded: Composition
    takes_misfits: bool

    @property
    def name(self) -> Literal["unmerged", "merged", "corrected"]:
        if self.folded.is_empty:
            return "unmerged"
        return "corrected" if self.takes_misfits else "merged"


UNMERGED = Mode(folded=NO_ADAPTERS, takes_misfits=True)


def merged(composition: Composition) -> Mode:
    """Return the mode in which only rows of `composition` run, at full speed."""
    return Mode(folded=composition, takes_misfits=False)


def corrected(composition: Composition) -> Mode:
    """Return the mode in which all rows run; those of another composition cost more."""
    return Mode(folded=composition, takes_misfits=True)


class QueuedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that could take part in the next tick.

    Attributes:
        slack_s: how long it can wait and still meet its deadline; negative if it cannot.
    """

    id: str
    composition: Composition
    steps_left: int
    denoiser_rows: int = 1
    slack_s: float = float("inf")


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one model and size, most urgent first and at least one, and what the weights hold now."""

    rows: tuple[QueuedRow, ...]
    max_denoiser_rows: int
    folded: Composition = NO_ADAPTERS

    @property
    def front(self) -> tuple[QueuedRow, ...]:
        """The rows that would run next if there were no modes."""
        return first_that_fit(self.rows, self.max_denoiser_rows)

    def of(self, composition: Composition) -> tuple[QueuedRow, ...]:
        """Return its rows of one composition."""
        return tuple(row for row in self.rows if row.composition == composition)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The mode of the next tick, and the rows that may run, most urgent first: as many as fit run."""

    mode: Mode
    rows: tuple[QueuedRow, ...]


class ModeCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The measured costs of modes on one device.

    Attributes:
        switch_s: seconds to fold another composition, or none, into the weights.
        tick_s: seconds of a call by its number of denoiser rows, without misfits.
        unmerged_overhead: growth of a row's share of the call when its LoRAs are computed beside plain weights.
        correction_overhead: the same when they are corrections to the folded composition.
    """

    switch_s: float
    tick_s: Callable[[int], float]
    unmerged_overhead: float
    correction_overhead: float

    def overhead(self, folded: Composition) -> float:
        """Return the overhead of a misfit row when `folded` is in the weights."""
        return self.unmerged_overhead if folded.is_empty else self.correction_overhead

    def switching_s(self, before: Composition, after: Composition) -> float:
        return 0.0 if before == after else self.switch_s

    def ticking_s(self, folded: Composition, rows: Iterable[QueuedRow]) -> float:
        """Return the seconds of one call over `rows`."""
        riding = tuple(rows)
        total = sum(row.denoiser_rows for row in riding)
        misfits = sum(row.denoiser_rows for row in riding if row.composition != folded)
        return self.tick_s(total) * (1 + self.overhead(folded) * misfits / total)


class ModePolicy(Protocol):
    """Chooses the mode of each tick; one policy object serves one queue."""

    @property
    def name(self) -> str: ...

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        """Return the mode of the tick that begins at `now`, and the rows that may run."""
        ...


def first_that_fit(rows: Iterable[QueuedRow], max_denoiser_rows: int) -> tuple[QueuedRow, ...]:
    """Return the longest prefix of `rows` that fits one call, at least one row."""
    fitting: list[QueuedRow] = []
    total = 0
    for row in rows:
        total += row.denoiser_rows
        if fitting and total > max_denoiser_rows:
            break
        fitting.append(row)
    return tuple(fitting)
