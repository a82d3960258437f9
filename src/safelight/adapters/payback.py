"""Fold when the present rows pay for it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from safelight.adapters.mode import UNMERGED, Choice, ModeCosts, Queue, QueuedRow, corrected, merged
from safelight.core.adapter import NO_ADAPTERS, Composition

MARGIN: Final = 2.0
"""A switch must save this many times its cost, since later rows are unknown."""


ROUNDING: Final = 1e-9
"""Costs that differ by a smaller share are equal."""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Serve these compositions one after another, each merged and alone, then all other rows together over `fold`.

    Attributes:
        other_fold_s: the cost with the next best fold.
    """

    cost_s: float
    alone: tuple[Composition, ...]
    fold: Composition
    other_fold_s: float = math.inf


class Payback:
    """Chooses the plan that finishes the present rows soonest, and takes its first step.

    A plan serves the few compositions with the most work merged and alone, and all other rows together over the
    cheapest fold, which may be none. Its cost is the sum of all calls, with the overhead of misfits, and of switches
    times `margin`. Since staying costs nothing, the margin keeps a fold until another one is clearly better.
    """

    name: Final = "payback"
    is_steady: Final = True

    def __init__(self, *, margin: float = MARGIN) -> None:
        self._margin = margin

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        shares = drain_s(queue.rows, costs, queue.max_denoiser_rows)
        highest = max(costs.unmerged_overhead, costs.correction_overhead)
        if queue.folded.is_empty and sum(shares.values()) * highest <= self._margin * costs.switch_s:
            return Choice(mode=UNMERGED, rows=queue.rows)
        plan = min(self._plans(queue, costs, shares), key=lambda plan: plan.cost_s)
        if plan.alone:
            alone = {row.composition for row in queue.rows if row.composition in plan.alone}
            urgent = next(row.composition for row in queue.rows if row.composition in alone)
            first = queue.folded if queue.folded in alone else urgent
            return Choice(mode=merged(first), rows=queue.of(first))
        if plan.fold.is_empty:
            return Choice(mode=UNMERGED, rows=queue.rows)
        fits_all = all(row.composition == plan.fold for row in queue.rows)
        return Choice(mode=merged(plan.fold) if fits_all else corrected(plan.fold), rows=queue.rows)

    def stays(self, queue: Queue, costs: ModeCosts, ticks: int) -> bool:
        """Return whether all rows run, over the present weights, in each of the next `ticks` ticks that they share.

        Until the first row ends, the work of each composition falls by as much in each tick. So the order of the
        compositions by their work, if it is the same at both ends, is the same in between. The cost of a plan is then
        a minimum of lines, if all rows have LoRAs: one that is no better at both ends is no better in between.
        """
        later = Queue(
            rows=tuple(msgspec.structs.replace(row, steps_left=row.steps_left - ticks + 1) for row in queue.rows),
            max_denoiser_rows=queue.max_denoiser_rows,
            folded=queue.folded,
        )
        first, last = (self._clear_plans(each, costs) for each in (queue, later))
        if first is None or last is None or [plan.alone for plan in first] != [plan.alone for plan in last]:
            return False
        return _is_best(first, queue.folded) and _is_best(last, queue.folded)

    def _clear_plans(self, queue: Queue, costs: ModeCosts) -> list[_Plan] | None:
        """Return the plans; None if a row has no LoRAs, or compositions have the same work but for rounding."""
        if any(row.composition.is_empty for row in queue.rows):
            return None
        shares = drain_s(queue.rows, costs, queue.max_denoiser_rows)
        works_s = sorted(shares.values())
        if any(more - less <= ROUNDING * more for less, more in pairwise(works_s)):
            return None
        return self._plans(queue, costs, shares)

    def _plans(self, queue: Queue, costs: ModeCosts, shares: Mapping[Composition, float]) -> list[_Plan]:
        """Return the plans to compare; those with fewer compositions alone come first.

        `shares` is `drain_s` of all rows.
        """
        highest = max(costs.unmerged_overhead, costs.correction_overhead)
        heaviest = [
            composition
            for composition in sorted(shares, key=lambda each: -shares[each])
            if composition == queue.folded or shares[composition] * highest > self._margin * costs.switch_s
        ]
        alone_s = {
            each: self._margin * costs.switch_s * (each != queue.folded)
            + sum(drain_s(queue.of(each), costs, queue.max_denoiser_rows).values())
            for each in heaviest
        }
        ranked = [dict(list(alone_s.items())[:count]) for count in range(1, len(heaviest) + 1)]
        return [self._plan({}, shares, queue, costs), *(self._plan(each, None, queue, costs) for each in ranked)]

    def _plan(
        self,
        seconds_alone: Mapping[Composition, float],
        shares: Mapping[Composition, float] | None,
        queue: Queue,
        costs: ModeCosts,
    ) -> _Plan:
        """Return the plan that serves some compositions alone, in so many seconds each, and all others together.

        `shares` is `drain_s` of those others, if it is known.
        """
        switch_s, alone, alone_s = self._margin * costs.switch_s, tuple(seconds_alone), sum(seconds_alone.values())
        if shares is None:
            rest = tuple(row for row in queue.rows if row.composition not in alone)
            shares = drain_s(rest, costs, queue.max_denoiser_rows)
        if not shares:
            return _Plan(cost_s=alone_s, alone=alone, fold=NO_ADAPTERS)
        entry = alone[-1] if alone else queue.folded
        total_s = sum(shares.values())

        def together_s(fold: Composition) -> float:
            misfit_s = total_s - shares.get(fold, 0.0)
            return switch_s * (fold != entry) + total_s + costs.overhead(fold) * misfit_s

        heaviest = max(shares.items(), key=lambda each: each[1])[0]
        costs_s = {fold: together_s(fold) for fold in (entry, NO_ADAPTERS, heaviest)}
        fold = min(costs_s, key=lambda each: costs_s[each])
        fold_s = costs_s.pop(fold)
        return _Plan(
            cost_s=alone_s + fold_s,
            alone=alone,
            fold=fold,
            other_fold_s=alone_s + min(costs_s.values(), default=math.inf),
        )


def _is_best(plans: Sequence[_Plan], folded: Composition) -> bool:
    """Whether to run all rows over `folded` is cheaper than any other plan, and not only by rounding."""
    first, *others = plans
    least_s = min((plan.cost_s for plan in others), default=math.inf)
    return first.fold == folded and min(least_s, first.other_fold_s) > first.cost_s * (1 + ROUNDING)


def drain_s(rows: Sequence[QueuedRow], costs: ModeCosts, max_denoiser_rows: int) -> dict[Composition, float]:
    """Return the seconds of all calls, without overhead, until all steps of `rows` are done, by whom they are spent on.

    All remaining rows share each call; if they do not fit, they take turns.
    """
    shares = defaultdict[Composition, float](float)
    active = sum(row.denoiser_rows for row in rows)
    steps, per_row_s = 0, 0.0
    for row in sorted(rows, key=lambda row: row.steps_left):
        riding = max(row.denoiser_rows, min(active, max_denoiser_rows))
        per_row_s += (row.steps_left - steps) * costs.tick_s(riding) / riding
        steps = row.steps_left
        shares[row.composition] += row.denoiser_rows * per_row_s
        active -= row.denoiser_rows
    return shares
