"""What holds of pauses whatever arrives, and whichever workers die."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, request, spec
from control.virtual_fleet import VirtualFleet
from safelight.control.commands import Deliver, Dismissed, GiveUp, Reject
from safelight.control.events import Withdrawn
from safelight.control.policies import policies_from
from safelight.control.preemption.forecast_gain import MAX_PAUSES

MODELS = tuple(spec(name, tick_s=0.02, row_s=0.01, encode_s=0.003, decode_s=0.004) for name in (LARGE, SMALL))

MOST_LATE_SHARE = 0.002
"""The forecasts of a worker are not exact where several kinds of rows alternate."""

LONG = st.fixed_dictionaries(
    {"steps": st.integers(12, 50), "deadline_s": st.none() | st.floats(1, 12), "side": st.sampled_from([64, 64, 128])}
)
SHORT = st.fixed_dictionaries(
    {"steps": st.integers(1, 6), "deadline_s": st.floats(0.1, 1.5), "is_guided": st.booleans()}
)
ASKED = st.lists(
    st.tuples(st.floats(0.001, 0.5), LONG | SHORT, st.sampled_from([LARGE, LARGE, SMALL])), min_size=2, max_size=14
)
FLEETS = st.fixed_dictionaries(
    {"workers": st.integers(1, 2), "max_denoiser_rows": st.integers(1, 3), "lookahead_rows": st.integers(0, 2)}
)


class CountedFleet(VirtualFleet):
    """A fleet that notes how often each request has ended, and which workers hold it."""

    def __init__(self, *, workers, **settings):
        self.ends = Counter()
        self.most_paused_bytes = 0
        super().__init__(*[MODELS] * workers, **settings)
        self.controller.handle = self._noting(self.controller.handle)

    def _noting(self, handle):
        def noting(event, now):
            commands = handle(event, now)
            ended = [each.request.id for each in commands if isinstance(each, Deliver | GiveUp | Reject | Dismissed)]
            self.ends.update(ended)
            self.most_paused_bytes = max(self.most_paused_bytes, self.controller._fleet.paused_rows.total_bytes)
            self.check_that_none_is_held_twice()
            return commands

        return noting

    def check_that_none_is_held_twice(self):
        held = Counter(name for each in self.workers.values() if not each.is_dead for name in each.machine._held)
        assert all(count == 1 for count in held.values())

    @property
    def steps_run(self):
        return sum(each.steps_run for each in self.workers.values())


def offered(fleet, asked, *, kills=(), withdrawals=()):
    """Have requests arrive one after another, while workers die and clients leave; returns them."""
    made = []
    for number, (gap_s, fields, model) in enumerate(asked):
        fleet.time.run(until=fleet.time.now_s() + gap_s)
        made.append(request(f"r{number}", model=model, arrived_s=fleet.time.now_s(), **fields))
        fleet.arrive(made[-1])
        if number in kills:
            fleet.kill(next(name for name, each in fleet.workers.items() if not each.is_dead))
            fleet.join(MODELS)
        if number in withdrawals:
            fleet.handle(Withdrawn(made[number // 2].id))
    fleet.time.run()
    return made


def some_history(rng):
    """Long and short requests, and a fleet."""
    asked = []
    for _ in range(rng.randint(2, 14)):
        model = rng.choice([LARGE, LARGE, SMALL])
        if rng.random() < 0.5:
            deadline_s, side = rng.choice([None, rng.uniform(1, 12)]), rng.choice([64, 64, 128])
            fields = {"steps": rng.randint(12, 50), "deadline_s": deadline_s, "side": side}
        else:
            fields = {"steps": rng.randint(1, 6), "deadline_s": rng.uniform(0.1, 1.5), "is_guided": rng.random() < 0.5}
        asked.append((rng.uniform(0.001, 0.5), fields, model))
    shape = {"workers": rng.randint(1, 2), "max_denoiser_rows": rng.randint(1, 3), "lookahead_rows": rng.randint(0, 2)}
    return asked, shape


def histories(policy, *, count=250):
    """Return how many requests were accepted in some histories, how many of these were late, and all pauses."""
    accepted = late = pauses = 0
    for seed in range(count):
        asked, shape = some_history(random.Random(seed))
        fleet = CountedFleet(**shape, policies=policies_from([policy]))
        offered(fleet, asked)
        outcomes = [outcome for name, outcome in fleet.outcomes.items() if name not in fleet.rejected]
        accepted += len(outcomes)
        late += sum(not outcome.met_deadline for outcome in outcomes)
        pauses += sum(outcome.pauses for outcome in outcomes)
    return accepted, late, pauses


def test_pauses_let_more_be_accepted_and_make_next_to_nothing_late():
    accepted_before, *_ = histories("preemption=never")
    accepted, late, pauses = histories("preemption=forecast-gain")
    assert accepted > 1.15 * accepted_before
    assert pauses > 50
    assert late <= MOST_LATE_SHARE * accepted


@settings(max_examples=100)
@given(asked=ASKED, shape=FLEETS)
def test_every_step_is_run_once_over_all_pauses(asked, shape):
    fleet = CountedFleet(**shape)
    made = offered(fleet, asked)
    assert fleet.steps_run == sum(each.steps for each in made if each.id not in fleet.rejected)


@settings(max_examples=150)
@given(
    asked=ASKED,
    shape=FLEETS,
    kills=st.sets(st.integers(0, 13), max_size=2),
    withdrawals=st.sets(st.integers(0, 13), max_size=3),
)
def test_every_request_ends_once_and_pauses_are_bounded_though_workers_die(asked, shape, kills, withdrawals):
    fleet = CountedFleet(**shape, max_attempts=99)
    made = offered(fleet, asked, kills=kills, withdrawals=withdrawals)
    assert fleet.ends == Counter(each.id for each in made)
    assert all(stage.pauses <= MAX_PAUSES for outcome in fleet.outcomes.values() for stage in outcome.stages)
    assert fleet.controller.is_idle


@settings(max_examples=50)
@given(asked=ASKED, shape=FLEETS, limit=st.sampled_from([0, 20_000, 40_000]))
def test_the_latents_of_paused_rows_are_bounded_and_nothing_of_them_is_left(asked, shape, limit):
    fleet = CountedFleet(**shape, max_paused_bytes=limit)
    offered(fleet, asked)
    assert fleet.most_paused_bytes <= limit
    assert fleet.controller._fleet.paused_rows.total_bytes == 0


@pytest.mark.parametrize("at_s", [0.2, 0.5, 0.9])
def test_a_lost_worker_costs_a_paused_picture_only_the_steps_since_its_pause(at_s):
    fleet = CountedFleet(workers=1, max_denoiser_rows=1, lookahead_rows=0)
    fleet.arrive(request("long", steps=50))
    fleet.time.run(until=at_s)
    fleet.arrive(request("urgent", steps=2, arrived_s=at_s, deadline_s=0.3))
    fleet.time.run(until=at_s + 0.4)
    fleet.kill("w0")
    fleet.join(MODELS)
    fleet.time.run()
    assert fleet.outcomes["long"].pauses == 1
    assert 52 < fleet.steps_run < 52 + 0.4 / 0.03
