"""What a worker's weights hold: the policy decides, and the scheduler carries it out and keeps its clocks honest."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, OWN_SIDE, SMALL, job, paces, spec, use
from safelight.adapters.mode import UNMERGED, Choice, merged
from safelight.adapters.modes import ADAPTER_MODE_NAMES, adapter_mode_named
from safelight.control.batch import QueuedJob
from safelight.control.folding import Folding
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.ticks import TickScheduler
from safelight.core.adapter import NO_ADAPTERS, composition_of
from safelight.core.model import AdapterCosts

COSTS = AdapterCosts(switch_s=0.01, unmerged_overhead=0.5, correction_overhead=0.25)
OUTLINE, MASK = use("outline"), use("mask", -0.5, generation=2)
OUTLINED, MASKED = composition_of([OUTLINE]), composition_of([MASK])


class Dictating:
    """A policy that does as it is told, and notes what it was asked."""

    name = "dictating"

    def __init__(self, composition=NO_ADAPTERS):
        self.composition = composition
        self.queues = []
        self.costs = None

    def choose(self, queue, costs, now):
        self.queues.append(queue)
        self.costs = costs
        if self.composition.is_empty:
            return Choice(mode=UNMERGED, rows=queue.rows)
        return Choice(mode=merged(self.composition), rows=queue.of(self.composition))


def folding(policy, *, costs=COSTS):
    return Folding(paces(spec(adapter_costs=costs))[LARGE], lambda: policy, max_denoiser_rows=8)


def rows(*jobs):
    return [QueuedJob.of(each, place=(number,)) for number, each in enumerate(jobs)]


def scheduler(adapter_mode, *models, most=8):
    known = paces(*(spec(model, adapter_costs=COSTS) for model in models or (LARGE,)))
    config = ReplicaConfig(max_denoiser_rows=most, adapter_mode=adapter_mode_named(adapter_mode))
    return TickScheduler(known, config=config), known


def hold(held, *jobs):
    for each in jobs:
        held.hold(each)


def test_rows_without_adapters_never_come_before_the_policy():
    policy = Dictating()
    plain = rows(job("one"), job("two"))
    assert folding(policy).choose(plain, now=0.0) == plain
    assert policy.queues == []


def test_a_model_that_takes_no_adapters_never_asks_the_policy():
    policy = Dictating()
    folding(policy, costs=None).choose(rows(job(loras=(OUTLINE,))), now=0.0)
    assert policy.queues == []


def test_rows_without_adapters_do_come_before_the_policy_while_something_is_folded():
    policy = Dictating(OUTLINED)
    fold = folding(policy)
    fold.choose(rows(job("lined", loras=(OUTLINE,))), now=0.0)
    policy.composition = NO_ADAPTERS
    fold.choose(rows(job("plain")), now=1.0)
    assert policy.queues[1].folded == OUTLINED
    assert fold.folded == NO_ADAPTERS


def test_only_the_rows_of_the_choice_may_run_and_they_keep_their_order():
    waiting = rows(job("a", loras=(OUTLINE,)), job("b", loras=(MASK,)), job("c", loras=(OUTLINE,)))
    assert [row.id for row in folding(Dictating(OUTLINED)).choose(waiting, now=0.0)] == ["a", "c"]


def test_the_policy_is_told_how_long_a_row_can_wait():
    policy = Dictating()
    hurried = job("hurried", steps=4, arrived_s=1.0, deadline_s=2.0, loras=(OUTLINE,))
    folding(policy).choose(rows(hurried, job("idle")), now=1.5)
    one_tick_s = 0.02 + 0.01
    assert [row.slack_s for row in policy.queues[0].rows] == [pytest.approx(1.5 - 4 * one_tick_s), math.inf]


def test_the_policy_reckons_with_what_was_measured():
    policy = Dictating()
    folding(policy).choose(rows(job(loras=(OUTLINE,))), now=0.0)
    costs = policy.costs
    assert (costs.switch_s, costs.unmerged_overhead, costs.correction_overhead) == (0.01, 0.5, 0.25)
    assert costs.tick_s(4) == pytest.approx(0.02 + 4 * 0.01)


def test_rows_of_another_size_are_another_queue_with_a_policy_of_its_own():
    made = []
    fold = Folding(
        paces(spec(adapter_costs=COSTS))[LARGE],
        lambda: made.append(Dictating()) or made[-1],
        max_denoiser_rows=8,
    )
    for side in (OWN_SIDE, 2 * OWN_SIDE, OWN_SIDE):
        fold.choose(rows(job(side=side, loras=(OUTLINE,))), now=0.0)
    assert [len(policy.queues) for policy in made] == [2, 1]


def test_a_tick_carries_what_the_policy_folds():
    held, _ = scheduler("always-merged")
    hold(held, job("lined", loras=(OUTLINE,)), job("masked", arrived_s=0.1, loras=(MASK,)))
    tick = held.next_tick(0.2)
    assert (tick.folded, tick.request_ids) == (OUTLINED, ("lined",))


def test_scales_that_cancel_out_are_no_adapters():
    held, _ = scheduler("always-merged")
    hold(held, job(loras=(OUTLINE, use("outline", -OUTLINE.scale))))
    assert held.next_tick(0.0).folded == NO_ADAPTERS


def test_each_model_has_weights_of_its_own():
    held, _ = scheduler("always-merged", LARGE, SMALL)
    hold(held, job("lined", loras=(OUTLINE,)), job("small", model=SMALL, arrived_s=0.1, steps=1))
    assert held.next_tick(0.2).folded == OUTLINED
    held.drop("lined")
    assert held.next_tick(0.2).folded == NO_ADAPTERS


def folded_for_a_last_plain_step(lose=lambda held: None):
    """What is folded for one step without adapters, after many with, and after `lose`."""
    held, _ = scheduler("payback")
    hold(held, job("lined", steps=50, loras=(OUTLINE,)))
    assert held.next_tick(0.0).folded == OUTLINED
    held.drop("lined")
    lose(held)
    hold(held, job("plain", steps=1))
    return held.next_tick(0.1).folded


def test_a_fold_stays_where_leaving_it_does_not_pay():
    assert folded_for_a_last_plain_step() == OUTLINED


def test_what_has_left_the_device_is_no_longer_folded():
    assert folded_for_a_last_plain_step(lambda held: held.adapter_evicted(OUTLINE.handle)) == NO_ADAPTERS


def test_what_could_not_be_folded_is_not():
    assert folded_for_a_last_plain_step(lambda held: held.fold_failed(LARGE)) == NO_ADAPTERS


def test_evicting_another_adapter_changes_nothing():
    fold = folding(Dictating(OUTLINED))
    fold.choose(rows(job(loras=(OUTLINE,))), now=0.0)
    fold.adapter_evicted(MASK.handle)
    assert fold.folded == OUTLINED


MIXES = st.lists(
    st.tuples(st.sampled_from([(), (OUTLINE,), (MASK,), (OUTLINE, MASK)]), st.booleans()), min_size=1, max_size=6
)


@given(MIXES, st.sampled_from(ADAPTER_MODE_NAMES))
def test_misfits_do_not_change_the_pace_that_is_learned_for_plain_rows(mix, adapter_mode):
    held, known = scheduler(adapter_mode, most=32)
    loras = {f"r{index}": uses for index, (uses, _) in enumerate(mix)}
    hold(held, *(job(f"r{i}", steps=20, is_guided=two, loras=uses) for i, (uses, two) in enumerate(mix)))
    guided = {f"r{index}": two for index, (_, two) in enumerate(mix)}
    size = {"width": OWN_SIDE, "height": OWN_SIDE}
    before_s = [known[LARGE].tick_s(count, **size) for count in (1, 4, 12)]
    now = 0.0
    while (tick := held.next_tick(now)) is not None:
        weights = {name: 1 + guided[name] for name in tick.request_ids}
        misfits = sum(weights[name] for name in weights if composition_of(loras[name]) != tick.folded)
        overhead = COSTS.unmerged_overhead if tick.folded.is_empty else COSTS.correction_overhead
        total = sum(weights.values())
        seconds = (0.02 + 0.01 * total) * (1 + overhead * misfits / total)
        now += seconds
        assert tick.ticked(seconds).misfit_rows == misfits
        held.tick_done(tick, tick.ticked(seconds))
    assert [known[LARGE].tick_s(count, **size) for count in (1, 4, 12)] == pytest.approx(before_s)


@given(MIXES, st.sampled_from(ADAPTER_MODE_NAMES), st.integers(2, 12))
def test_under_every_policy_every_row_gets_exactly_its_steps(mix, adapter_mode, most):
    held, _ = scheduler(adapter_mode, most=most)
    hold(held, *(job(f"r{i}", steps=3, is_guided=two, loras=uses) for i, (uses, two) in enumerate(mix)))
    ran, now = Counter(), 0.0
    while (tick := held.next_tick(now)) is not None:
        ran.update(tick.request_ids)
        now += 0.1
        held.tick_done(tick, tick.ticked(0.1))
    assert ran == {f"r{index}": 3 for index in range(len(mix))}
