"""dLoRA's choice between merged and unmerged (Wu et al., OSDI 2024), as in its released scheduler."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from safelight.adapters.mode import UNMERGED, Choice, ModeCosts, Queue, QueuedRow, merged
from safelight.core.adapter import Composition


@dataclass(frozen=True, kw_only=True)
class DloraConfig:
    """The constants of the released scheduler, profiled there with a 7B language model.

    Attributes:
        merge_s, unmerge_s: a merged and an unmerged iteration.
        enter_ratio: the least ratio of a merged batch to a mixed one at which it starts to merge.
        add, multiply: the steps in which the two ratios are tuned.
        unit: of credit; each of n compositions starts with n - 1, is served by credit from n on, and may fall to
            `credit_floor` before it is no longer merged.
        keep_gap: how far credit may fall below n units before service by credit ends.
    """

    merge_s: float = 0.015
    unmerge_s: float = 0.027
    switch_s: float = 0.020
    max_batch: int = 16
    enter_ratio: float = 1.0
    add: float = 0.05
    multiply: float = 1.1
    unit: float = 10_000.0
    keep_gap: float = 5_000.0
    credit_floor: float = 0.0

    @property
    def break_even(self) -> float:
        """The ratio of batches at which merged and unmerged iterations serve equally fast."""
        return self.merge_s / self.unmerge_s

    @property
    def credit_cost(self) -> float:
        """Of one displaced row in an iteration served by credit."""
        return 1 / self.max_batch

    @property
    def merged_cost(self) -> float:
        """Of one displaced row in a merged iteration."""
        return 1 / (self.break_even * self.max_batch)


class DloraCredit:
    """Merges the most wanted composition while its batches outweigh mixed ones; credits are meant to stop starvation.

    `enter` and `stay` are the ratios at which merging begins and goes on, tuned at every switch by which mode would
    have served more. Credits only pass between compositions. At the released scale a composition must be passed over
    with whole batches for 5,556 iterations before credit serves it, which ordinary loads never reach.
    """

    name: Final = "dlora-credit"

    def __init__(self, config: DloraConfig | None = None) -> None:
        self._config = config or DloraConfig()
        self.enter = self._config.enter_ratio
        self.stay = self._config.break_even
        self._balances: dict[Composition, float] = {}
        self._served_by_credit: set[Composition] = set()
        self._merged: Composition | None = None
        self._target: Composition | None = None
        self._begin_period()

    @property
    def credits(self) -> dict[Composition, float]:
        """Credit of each composition that was ever seen."""
        start = self._config.unit * (len(self._balances) - 1)
        return {composition: start + balance for composition, balance in self._balances.items()}

    @property
    def is_serving_by_credit(self) -> bool:
        """Whether some rows of the last tick were chosen by credit."""
        return bool(self._served_by_credit)

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        """Return the mode and exactly the rows of the next tick; the constants are used instead of `costs`."""
        room = min(self._config.max_batch, len(queue.front))
        front = queue.rows[:room]
        grouped = defaultdict[Composition, list[QueuedRow]](list)
        for row in queue.rows:
            grouped[row.composition].append(row)
            self._balances.setdefault(row.composition, 0.0)
        by_credit = self._credit_service(grouped, room)
        if by_credit:
            chosen = {row.id for row in by_credit}
            ran = (*by_credit, *(row for row in front if row.id not in chosen))[:room]
            self._leave()
            self._pass_credit(front, ran, cost=self._config.credit_cost)
            return Choice(mode=UNMERGED, rows=ran)
        return self._by_thresholds(grouped, front, room)

    def _by_thresholds(
        self, grouped: dict[Composition, list[QueuedRow]], front: tuple[QueuedRow, ...], room: int
    ) -> Choice:
        owned = self.credits
        counts = {each: len(rows) for each, rows in grouped.items() if owned[each] >= self._config.credit_floor}
        best = max(counts, key=lambda each: counts[each], default=None)
        if self._merged is not None and counts.get(self._merged, 0) >= self.stay * len(front):
            target: Composition | None = self._merged
        elif best is not None and counts[best] >= self.enter * len(front):
            self._tune()
            target = self._merged = best
        else:
            self._leave()
            target = None
            self._virtual_switches += best != self._target
            self._target = best
        would_be = best if target is None else target
        self._iterations += 1
        self._merged_rows += 0 if would_be is None else min(counts[would_be], room)
        self._unmerged_rows += len(front)
        if target is None:
            return Choice(mode=UNMERGED, rows=front)
        ran = tuple(grouped[target][:room])
        self._pass_credit(front, ran, cost=self._config.merged_cost)
        return Choice(mode=merged(target), rows=ran)

    def _credit_service(self, grouped: dict[Composition, list[QueuedRow]], room: int) -> list[QueuedRow]:
        owned, start = self.credits, self._config.unit * len(self._balances)
        taken: list[QueuedRow] = []
        served: set[Composition] = set()
        for composition in sorted(grouped, key=lambda each: -owned[each]):
            if owned[composition] < start - self._config.keep_gap or len(taken) == room:
                break
            if owned[composition] >= start or composition in self._served_by_credit:
                taken += grouped[composition][: room - len(taken)]
                served.add(composition)
        self._served_by_credit = served
        return taken

    def _pass_credit(self, front: tuple[QueuedRow, ...], ran: tuple[QueuedRow, ...], *, cost: float) -> None:
        """Move credit from rows that ran out of turn to those they displaced; an unpaired displaced row gets half."""
        chosen, first = {row.id for row in ran}, {row.id for row in front}
        intruders = [row.composition for row in ran if row.id not in first]
        displaced = [row.composition for row in front if row.id not in chosen]
        payers = intruders + [ran[0].composition] * (len(displaced) - len(intruders))
        prices = [cost] * len(intruders) + [cost / 2] * (len(payers) - len(intruders))
        for payer, payee, price in zip(payers, displaced, prices, strict=False):
            self._balances[payer] -= price
            self._balances[payee] += price

    def _leave(self) -> None:
        if self._merged is not None:
            self._tune()
            self._merged = None

    def _tune(self) -> None:
        """Tune a ratio by the results of the period that ends, and begin another period."""
        config = self._config
        was_merged = self._merged is not None
        switches = 1 if was_merged else self._virtual_switches
        merged_s = config.merge_s * self._iterations + config.switch_s * switches
        unmerged_s = config.unmerge_s * self._iterations + config.switch_s * (not was_merged)
        if self._iterations:
            lead = self._merged_rows * unmerged_s - self._unmerged_rows * merged_s
            if was_merged and lead > 0 and self.enter - config.add > self.stay:
                self.enter -= config.add
            elif was_merged and lead < 0:
                self.enter *= config.multiply
            elif not was_merged and lead < 0 and self.stay + config.add < self.enter:
                self.stay += config.add
            elif not was_merged and lead > 0:
                self.stay /= config.multiply
        self._begin_period()

    def _begin_period(self) -> None:
        self._iterations = self._merged_rows = self._unmerged_rows = self._virtual_switches = 0
