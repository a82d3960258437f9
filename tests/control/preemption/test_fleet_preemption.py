"""A long picture makes way for an urgent one, and goes on where it was."""

from control.makers import request, spec
from control.virtual_fleet import VirtualFleet
from safelight.control.policies import policies_from

MODEL = spec(tick_s=0.02, row_s=0.01, encode_s=0.005, decode_s=0.005)
"""One picture alone: a step takes 0.03 s."""


def one_place(*, workers=1, **settings):
    return VirtualFleet(*[(MODEL,)] * workers, **{"max_denoiser_rows": 1, "lookahead_rows": 0} | settings)


def run_with_urgent(fleet, *, deadline_s=0.4, at_s=0.5, long_steps=50, long_deadline_s=None):
    fleet.arrive(request("long", steps=long_steps, deadline_s=long_deadline_s))
    fleet.time.run(until=at_s)
    fleet.arrive(request("urgent", steps=4, arrived_s=at_s, deadline_s=deadline_s))
    fleet.time.run()
    return fleet.outcomes


def test_a_long_picture_pauses_for_an_urgent_one():
    fleet = one_place()
    outcomes = run_with_urgent(fleet)
    assert outcomes["urgent"].met_deadline
    assert (outcomes["long"].status, outcomes["long"].pauses, outcomes["urgent"].pauses) == ("finished", 1, 0)


def test_no_step_is_run_twice():
    fleet = one_place()
    run_with_urgent(fleet)
    assert sum(worker.steps_run for worker in fleet.workers.values()) == 54


def test_never_refuses_the_urgent_one():
    fleet = one_place(policies=policies_from(["preemption=never"]))
    outcomes = run_with_urgent(fleet)
    assert fleet.rejected == {"urgent"}
    assert outcomes["long"].pauses == 0


def test_a_long_picture_that_would_be_late_does_not_pause():
    fleet = one_place()
    outcomes = run_with_urgent(fleet, long_deadline_s=1.6)
    assert fleet.rejected == {"urgent"}
    assert outcomes["long"].met_deadline


def test_a_long_picture_with_time_to_spare_pauses_and_is_in_time():
    fleet = one_place()
    outcomes = run_with_urgent(fleet, long_deadline_s=2.5)
    assert outcomes["long"].pauses == 1
    assert outcomes["long"].met_deadline
