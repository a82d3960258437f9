from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, OWN_SIDE, SMALL, crowds, job, profiles, request
from safelight.control.order import PATIENCE_S
from safelight.control.replica import ReplicaScheduler
from safelight.core.work import Job

TICK_S = 1.0
MOST_ROWS = st.integers(2, 12)


class Player:
    """Runs a scheduler on a clock of its own; each tick takes `tick_s`, or what the profile expects."""

    def __init__(self, *, most=8, tick_s=None):
        self.profiles = profiles()
        self.scheduler = ReplicaScheduler(self.profiles, max_denoiser_rows=most)
        self.tick_s = tick_s
        self.now = 0.0
        self.jobs = {}
        self.ticks = []
        self.ended_s = {}

    def hold(self, held):
        self.jobs[held.request.id] = held
        self.scheduler.hold(held)

    def tick(self):
        tick = self.scheduler.next_tick(self.now)
        self.ticks.append(tick.request_ids)
        rows = sum(self.jobs[name].request.denoiser_rows for name in tick.request_ids)
        expected_s = self.profiles[tick.model].tick_s(rows, width=tick.width, height=tick.height)
        seconds = expected_s if self.tick_s is None else self.tick_s
        self.now += seconds
        ended = self.scheduler.tick_done(tick, seconds)
        self.ended_s |= dict.fromkeys(ended, self.now)
        return ended

    def run(self):
        while not self.scheduler.is_idle:
            self.tick()


def playing(requests, **settings):
    player = Player(**settings)
    for each in requests:
        player.hold(Job(request=each))
    return player


@given(crowds(), MOST_ROWS)
def test_every_row_gets_exactly_its_steps(requests, most):
    player = playing(requests, most=most)
    player.run()
    ran = Counter(name for names in player.ticks for name in names)
    assert ran == {each.id: each.steps for each in requests}


@given(crowds(), MOST_ROWS)
def test_every_row_ends_once_at_its_last_tick(requests, most):
    player = playing(requests, most=most)
    ended = []
    while not player.scheduler.is_idle:
        ended += player.tick()
    assert sorted(ended) == sorted(each.id for each in requests)


@given(crowds(), MOST_ROWS, st.data())
def test_a_dropped_row_never_runs_again_and_the_others_get_all_their_steps(requests, most, data):
    player = playing(requests, most=most)
    for _ in range(data.draw(st.integers(0, 3))):
        if not player.scheduler.is_idle:
            player.tick()
    before = len(player.ticks)
    name = data.draw(st.sampled_from(requests)).id
    was_held = player.scheduler.drop(name)
    player.run()
    assert was_held == (name not in player.ended_s)
    assert not any(was_held and name in names for names in player.ticks[before:])
    assert set(player.ended_s) >= {each.id for each in requests} - {name}


@given(crowds(), MOST_ROWS)
def test_the_most_urgent_row_meets_a_deadline_that_it_could_meet_alone(requests, most):
    player = playing(requests, most=most)
    first = min(requests, key=lambda each: (min(each.due_s, each.arrived_s + PATIENCE_S), each.arrived_s))
    alone_s = first.steps * profiles()[first.model].tick_s(first.denoiser_rows, width=first.width, height=first.height)
    player.run()
    assert player.ended_s[first.id] <= first.due_s + 1e-9 or alone_s > first.due_s


@given(crowds(), MOST_ROWS)
def test_the_same_jobs_give_the_same_ticks(requests, most):
    one, two = playing(requests, most=most), playing(requests, most=most)
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
    player = playing([request("early", steps=3)])
    player.tick()
    player.hold(job("late", steps=1, arrived_s=player.now))
    player.run()
    assert player.ticks == [("early",), ("early", "late"), ("early",)]


def test_a_more_urgent_row_goes_before_those_that_have_begun():
    player = playing([request("slow", steps=2)], most=1)
    player.tick()
    player.hold(job("urgent", steps=1, arrived_s=player.now, deadline_s=1.0))
    player.run()
    assert player.ticks == [("slow",), ("urgent",), ("slow",)]


def test_two_models_take_turns_by_urgency_not_by_tick():
    player = playing([request("large", steps=2), request("small", model=SMALL, steps=2, arrived_s=0.1)])
    player.run()
    assert player.ticks == [("large",), ("large",), ("small",), ("small",)]


def test_a_row_dropped_during_a_tick_is_not_among_those_that_end():
    player = playing([request("one", steps=1), request("two", steps=1)])
    tick = player.scheduler.next_tick(0.0)
    player.scheduler.drop("one")
    assert player.scheduler.tick_done(tick, 0.1) == ("two",)


def test_the_scheduler_learns_how_long_ticks_take():
    player = playing([request(steps=50)], tick_s=0.06)
    before_s = player.profiles[LARGE].tick_s(1)
    player.run()
    assert player.profiles[LARGE].tick_s(1) == pytest.approx(2 * before_s, rel=0.02)


def test_nothing_held_is_nothing_to_run():
    scheduler = ReplicaScheduler(profiles(), max_denoiser_rows=8)
    assert scheduler.is_idle
    assert scheduler.next_tick(0.0) is None


def test_dropping_what_is_not_held_does_nothing():
    assert not ReplicaScheduler(profiles(), max_denoiser_rows=8).drop("nobody")


def test_a_job_may_come_back_after_it_was_dropped():
    player = playing([request("one", steps=2)])
    player.tick()
    player.scheduler.drop("one")
    player.hold(job("one", steps=2))
    player.run()
    assert len(player.ticks) == 3


def test_a_job_that_comes_back_has_only_the_steps_to_run_that_it_lacks():
    player = playing([request("one", steps=5)])
    player.tick()
    player.scheduler.drop("one")
    player.scheduler.hold(job("one", steps=5), steps_run=1)
    player.run()
    assert len(player.ticks) == 5
