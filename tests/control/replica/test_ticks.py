from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, OWN_SIDE, SMALL, crowds, job, paces, use
from safelight.control.order.arrival import ArrivalOrder
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.protocol import PATIENCE_S
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.ticks import Tick, TickScheduler
from safelight.core.adapter import composition_of

TICK_S = 1.0
MOST_ROWS = st.integers(2, 12)


class Player:
    """Runs a scheduler on a clock of its own; each tick takes `tick_s`, or what the pace says."""

    def __init__(self, *, most=8, tick_s=None, **policies):
        self.paces = paces()
        self.scheduler = scheduler(self.paces, max_denoiser_rows=most, **policies)
        self.tick_s = tick_s
        self.now = 0.0
        self.jobs = {}
        self.ticks = []
        self.ended_s = {}

    def hold(self, held):
        self.jobs[held.id] = held
        self.scheduler.hold(held)

    def tick(self):
        tick = self.scheduler.next_tick(self.now)
        self.ticks.append(tick.request_ids)
        assert tick.denoiser_rows == sum(self.jobs[name].level.denoiser_rows for name in tick.request_ids)
        expected_s = self.paces[tick.model].tick_s(tick.denoiser_rows, width=tick.width, height=tick.height)
        seconds = expected_s if self.tick_s is None else self.tick_s
        self.now += seconds
        ended = self.scheduler.tick_done(tick, tick.ticked(seconds))
        self.ended_s |= dict.fromkeys(ended, self.now)
        return ended

    def run(self):
        while not self.scheduler.is_idle:
            self.tick()


def scheduler(known, **settings):
    return TickScheduler(known, config=ReplicaConfig(**settings))


def playing(jobs, **settings):
    player = Player(**settings)
    for each in jobs:
        player.hold(each)
    return player


@given(crowds(), MOST_ROWS)
def test_every_row_gets_exactly_its_steps(jobs, most):
    player = playing(jobs, most=most)
    player.run()
    ran = Counter(name for names in player.ticks for name in names)
    assert ran == {each.id: each.level.steps for each in jobs}


@given(crowds(), MOST_ROWS)
def test_every_row_ends_once_at_its_last_tick(jobs, most):
    player = playing(jobs, most=most)
    ended = []
    while not player.scheduler.is_idle:
        ended += player.tick()
    assert sorted(ended) == sorted(each.id for each in jobs)


@given(crowds(), MOST_ROWS, st.data())
def test_a_dropped_row_never_runs_again_and_the_others_get_all_their_steps(jobs, most, data):
    player = playing(jobs, most=most)
    for _ in range(data.draw(st.integers(0, 3))):
        if not player.scheduler.is_idle:
            player.tick()
    before = len(player.ticks)
    name = data.draw(st.sampled_from(jobs)).id
    was_held = player.scheduler.drop(name)
    player.run()
    assert was_held == (name not in player.ended_s)
    assert not any(was_held and name in names for names in player.ticks[before:])
    assert set(player.ended_s) >= {each.id for each in jobs} - {name}


@given(crowds(), MOST_ROWS)
def test_the_most_urgent_row_meets_a_deadline_that_it_could_meet_alone(jobs, most):
    player = playing(jobs, most=most)
    first = min((each.request for each in jobs), key=lambda each: DeadlineOrder().place(each, 0))
    level = next(each.level for each in jobs if each.request is first)
    tick_s = paces()[level.model].tick_s(level.denoiser_rows, width=first.width, height=first.height)
    player.run()
    assert player.ended_s[first.id] <= first.due_s + 1e-9 or level.steps * tick_s > first.due_s


@given(crowds(), MOST_ROWS)
def test_the_same_jobs_give_the_same_ticks(jobs, most):
    one, two = playing(jobs, most=most), playing(jobs, most=most)
    one.run()
    two.run()
    assert one.ticks == two.ticks


@pytest.mark.parametrize("rival", [{"model": SMALL}, {"side": 2 * OWN_SIDE}, {"is_guided": True}])
def test_a_stream_of_urgent_rivals_cannot_starve_a_row_beyond_patience(rival):
    rivals, steps = 4, 3
    player = Player(most=2, tick_s=TICK_S)
    player.hold(job("patient", steps=1))
    for number in range(1000):
        if "patient" in player.ended_s:
            break
        if len(player.jobs) - len(player.ended_s) <= rivals:
            player.hold(job(f"rival{number}", arrived_s=player.now, deadline_s=0.5, steps=steps, **rival))
        player.tick()
    assert player.ended_s["patient"] <= PATIENCE_S + (rivals * steps + 2) * TICK_S


def test_a_row_joins_at_the_next_tick_whatever_step_the_others_are_at():
    player = playing([job("early", steps=3)])
    player.tick()
    player.hold(job("late", steps=1, arrived_s=player.now))
    player.run()
    assert player.ticks == [("early",), ("early", "late"), ("early",)]


def test_a_more_urgent_row_goes_before_those_that_have_begun():
    player = playing([job("slow", steps=2)], most=1)
    player.tick()
    player.hold(job("urgent", steps=1, arrived_s=player.now, deadline_s=1.0))
    player.run()
    assert player.ticks == [("slow",), ("urgent",), ("slow",)]


def test_two_models_take_turns_by_urgency_not_by_tick():
    player = playing([job("large", steps=2), job("small", model=SMALL, steps=2, arrived_s=0.1)])
    player.run()
    assert player.ticks == [("large",), ("large",), ("small",), ("small",)]


def test_a_row_dropped_during_a_tick_is_not_among_those_that_end():
    player = playing([job("one", steps=1), job("two", steps=1)])
    tick = player.scheduler.next_tick(0.0)
    player.scheduler.drop("one")
    assert player.scheduler.tick_done(tick, tick.ticked(0.1)) == ("two",)


def test_the_scheduler_learns_how_long_ticks_take():
    player = playing([job(steps=50)], tick_s=0.06)
    before_s = player.paces[LARGE].tick_s(1, width=OWN_SIDE, height=OWN_SIDE)
    player.run()
    assert player.paces[LARGE].tick_s(1, width=OWN_SIDE, height=OWN_SIDE) == pytest.approx(2 * before_s, rel=0.02)


def test_nothing_held_is_nothing_to_run():
    nothing = scheduler(paces())
    assert nothing.is_idle
    assert nothing.next_tick(0.0) is None


def test_dropping_what_is_not_held_does_nothing():
    assert not scheduler(paces()).drop("nobody")


def test_a_job_may_come_back_after_it_was_dropped():
    player = playing([job("one", steps=2)])
    player.tick()
    player.scheduler.drop("one")
    player.hold(job("one", steps=2))
    player.run()
    assert len(player.ticks) == 3


def test_a_job_that_comes_back_has_only_the_steps_to_run_that_it_lacks():
    player = playing([job("one", steps=5)])
    player.tick()
    player.scheduler.drop("one")
    player.scheduler.hold(job("one", steps=5), steps_run=1)
    player.run()
    assert len(player.ticks) == 5


def test_a_more_urgent_row_waits_its_turn_where_arrival_counts():
    player = playing([job("slow", steps=2)], most=1, order=ArrivalOrder())
    player.tick()
    player.hold(job("urgent", steps=1, arrived_s=player.now, deadline_s=1.0))
    player.run()
    assert player.ticks == [("slow",), ("slow",), ("urgent",)]


def test_the_record_of_a_tick_says_what_the_weights_held():
    outlined = composition_of([use("outline")])
    tick = Tick(model=LARGE, width=64, height=64, request_ids=("one",), denoiser_rows=1, folded=outlined)
    assert tick.ticked(0.1).folded == outlined
