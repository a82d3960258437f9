"""Rows that begin without their LoRAs: never for more steps than they may, and never in anybody's way."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, crowds, job, paces, spec, use
from safelight.adapters.modes import ADAPTER_MODE_NAMES, adapter_mode_named
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.ticks import TickScheduler
from safelight.control.turns import in_turn
from safelight.core.adapter import NO_ADAPTERS, composition_of
from safelight.core.model import AdapterCosts

COSTS = AdapterCosts(switch_s=0.01, unmerged_overhead=0.5, correction_overhead=0.25)
OUTLINE = use("outline")
OUTLINED = composition_of([OUTLINE])
TICK_S = 0.1
MOST_ROWS = st.integers(2, 12)

FIELDS = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 6),
        "is_guided": st.booleans(),
        "deadline_s": st.none() | st.floats(0.01, 60),
        "loras": st.sampled_from([(), (OUTLINE,)]),
        "grace_steps": st.integers(0, 8),
    }
)


def scheduler(adapter_mode="payback", *, most=8):
    config = ReplicaConfig(max_denoiser_rows=most, adapter_mode=adapter_mode_named(adapter_mode))
    return TickScheduler(paces(spec(LARGE, adapter_costs=COSTS)), config=config)


def lined(name="lined", **fields):
    return job(name, loras=(OUTLINE,), **fields)


def hold_bare(held, bare):
    """Have a scheduler hold a picture whose LoRAs are on their way."""
    held.hold(bare, grace_left=bare.request.grace_steps)


def end(held, tick):
    """Have a tick end after its time."""
    return held.tick_done(tick, tick.ticked(TICK_S))


def without_grace(graced):
    return msgspec.structs.replace(graced, request=msgspec.structs.replace(graced.request, grace_steps=0))


class Loading:
    """Runs a scheduler whose rows get their LoRAs at set moments, counted in ticks, empty ones included."""

    def __init__(self, jobs, moments, *, most=8, adapter_mode="payback"):
        self.scheduler = scheduler(adapter_mode, most=most)
        self.jobs = {each.id: each for each in jobs}
        self.lacking = {each.id: moment for each, moment in zip(jobs, moments, strict=True) if each.loras}
        self.bare, self.before, self.ran = Counter(), Counter(), Counter()
        self.now = 0.0
        for each in jobs:
            self.scheduler.hold(each, grace_left=each.request.grace_steps if each.loras else None)

    def run(self):
        for moment in range(200):
            self.now = moment * TICK_S
            for name in [name for name, due in self.lacking.items() if due == moment]:
                del self.lacking[name]
                if self.ran[name] < self.jobs[name].level.steps:
                    self.scheduler.equip(name)
            if (tick := self.scheduler.next_tick(self.now)) is not None:
                self.note(tick)
                end(self.scheduler, tick)
        assert self.ran == {name: each.level.steps for name, each in self.jobs.items()}

    def note(self, tick):
        self.bare.update(tick.bare)
        self.ran.update(tick.request_ids)
        self.before.update(name for name in tick.request_ids if name in self.lacking)


def moments_of(data, jobs):
    return data.draw(st.lists(st.integers(0, 12), min_size=len(jobs), max_size=len(jobs)))


@given(crowds(fields=FIELDS), MOST_ROWS, st.sampled_from(ADAPTER_MODE_NAMES), st.data())
def test_whenever_loras_come_a_row_runs_without_them_until_then_but_never_beyond_its_grace(
    jobs, most, adapter_mode, data
):
    loading = Loading(jobs, moments_of(data, jobs), most=most, adapter_mode=adapter_mode)
    loading.run()
    assert loading.bare == loading.before
    assert all(loading.bare[each.id] <= each.request.grace_steps for each in jobs)


@given(st.integers(0, 8), st.integers(0, 12), st.integers(1, 6))
def test_alone_a_row_uses_all_the_grace_that_it_needs(grace_steps, moment, steps):
    loading = Loading([lined(steps=steps, grace_steps=grace_steps)], [moment])
    loading.run()
    assert loading.bare["lined"] == min(grace_steps, moment, steps)


@given(crowds(fields=FIELDS), MOST_ROWS, st.data())
def test_the_most_urgent_row_that_may_run_is_in_every_tick(jobs, most, data):
    loading = Loading(jobs, moments_of(data, jobs), most=most, adapter_mode="always-unmerged")

    def note(tick, count=loading.note):
        may_run = [
            name
            for name, each in loading.jobs.items()
            if loading.ran[name] < each.level.steps
            and (name not in loading.lacking or loading.ran[name] < each.request.grace_steps)
        ]
        held = loading.scheduler
        rows = [row for row in held._in_order if row.id in may_run]
        turns = in_turn(rows, now=loading.now, paces=held._paces, max_denoiser_rows=most, order=DeadlineOrder())
        assert tick.request_ids[0] == turns[0].id
        count(tick)

    loading.note = note
    loading.run()


@given(crowds(fields=FIELDS), MOST_ROWS, st.sampled_from(ADAPTER_MODE_NAMES))
def test_grace_changes_nothing_for_rows_whose_loras_are_there(jobs, most, adapter_mode):
    def ticks(some):
        held = scheduler(adapter_mode, most=most)
        for each in some:
            held.hold(each)
        seen = []
        while (tick := held.next_tick(TICK_S * len(seen))) is not None:
            seen.append(tick)
            end(held, tick)
        return seen

    assert ticks(jobs) == ticks([without_grace(each) for each in jobs])


def test_a_row_that_waits_for_its_loras_leaves_the_scheduler_idle_though_it_is_held():
    held = scheduler()
    hold_bare(held, lined())
    assert held.is_idle
    assert held.next_tick(0.0) is None
    held.equip("lined")
    assert not held.is_idle


def test_a_row_that_waits_for_its_loras_holds_up_no_row_of_another_size():
    held = scheduler()
    hold_bare(held, lined(deadline_s=0.1))
    held.hold(job("wide", side=128))
    assert held.next_tick(0.0).request_ids == ("wide",)


def test_a_row_that_waits_for_its_loras_can_be_dropped():
    held = scheduler()
    hold_bare(held, lined())
    assert held.drop("lined")
    held.hold(lined(steps=1))
    assert end(held, held.next_tick(0.0)) == ("lined",)


def test_what_a_row_does_not_have_yet_is_not_folded_for_it():
    held = scheduler("always-merged")
    hold_bare(held, lined(grace_steps=1))
    bare = held.next_tick(0.0)
    assert (bare.folded, bare.bare) == (NO_ADAPTERS, ("lined",))
    end(held, bare)
    held.equip("lined")
    dressed = held.next_tick(TICK_S)
    assert (dressed.folded, dressed.bare) == (OUTLINED, ())


def test_a_row_without_its_loras_yet_is_a_misfit_where_they_are_folded_in():
    held = scheduler("always-merged")
    held.hold(lined("ready", steps=2))
    hold_bare(held, lined("late", grace_steps=1))
    tick = held.next_tick(0.0)
    assert (tick.folded, tick.request_ids) == (OUTLINED, ("ready",))
