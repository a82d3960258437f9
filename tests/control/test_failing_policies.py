"""What an installed policy does wrong costs the requests that it judges, or ends the service; it never hangs one."""

from dataclasses import dataclass

import pytest

from control.driven_fleet import DrivenFleet, assigned
from control.makers import LARGE, SMALL, request
from safelight.control.commands import Reject
from safelight.control.events import Arrived
from safelight.control.levels.as_asked import AsAsked
from safelight.control.policies import Policies
from safelight.core.errors import CannotServe, ExtensionError
from safelight.core.level import Level, Route


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """A policy of any family that serves requests called `good` as usual, and fails at all others."""

    name = "faulty"
    patience_s = 0.0

    def route(self, asked, models, load):
        return AsAsked().route(asked, models) if asked.id == "good" else {}[asked.id]

    def place(self, asked, sequence):
        return (asked.arrived_s, sequence) if asked.id == "good" else {}[asked.id]

    def refusal(self, state, prediction, now):
        return None if state.id == "good" else {}[state.id]


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A level policy that gives every request the same level."""

    level: Level
    name = "fixed"

    def route(self, asked, models, load):
        return Route(levels=(self.level,))


class Chosen:
    """A routing policy that chooses well for an idle fleet, and what `choice` takes of the fleet otherwise."""

    name = "chosen"

    def __init__(self, choice):
        self.choice = choice

    def choose(self, routed, fleet, now):
        return self.choice(fleet) if fleet.total_load else fleet.least_loaded


def full_one(fleet):
    return next(each for each in fleet.workers if not each.has_room)


def one_too_many(fleet):
    return fleet.workers[len(fleet.workers)]


def a_name(fleet):
    return "w"


@pytest.mark.parametrize("family", ["level", "order", "admission"])
def test_a_request_at_which_a_policy_fails_is_refused_with_its_group_and_the_others_are_served(family):
    fleet = DrivenFleet("w", policies=Policies(**{family: Faulty()}))
    refusals = fleet.handle(Arrived((request("good"), request("bad"))))
    assert [type(each) for each in refusals] == [Reject, Reject]
    assert all(isinstance(each.error, ExtensionError) and each.outcome is None for each in refusals)
    assert "faulty" in str(refusals[0].error)
    assert fleet.controller.is_idle
    assert assigned(fleet.arrive("good")) == [("good", "w", 1)]
    fleet.finish("good")
    assert fleet.controller.is_idle


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "shapes-nowhere"}, "no worker has served"),
        ({"guidance": "embedded"}, "cannot have"),
        ({"sampler": "none-such"}, "none-such"),
        ({"first_step": 4}, "4 steps from step 4 on"),
        ({"steps": 0}, "0 steps"),
    ],
)
def test_levels_that_no_worker_could_run_are_refused_before_they_reach_one(fields, says):
    level = Level(**({"model": SMALL, "steps": 4, "guidance_scale": 1.0, "sampler": "euler"} | fields))
    fleet = DrivenFleet("w", policies=Policies(level=Fixed(level=level)))
    (refusal,) = fleet.arrive()
    assert isinstance(refusal.error, ExtensionError)
    assert says in str(refusal.error)


def test_a_size_that_the_chosen_model_does_not_paint_is_refused():
    level = Level(model=LARGE, steps=4, guidance_scale=1.0, sampler="euler")
    fleet = DrivenFleet("w", policies=Policies(level=Fixed(level=level)))
    (refusal,) = fleet.arrive(side=100)
    assert "does not paint 100x100" in str(refusal.error)


@pytest.mark.parametrize("choice", [full_one, one_too_many, a_name])
def test_a_routing_policy_that_fails_or_chooses_a_worker_without_room_is_named(choice):
    fleet = DrivenFleet("w", "v", policies=Policies(routing=Chosen(choice)))
    fleet.arrive("first")
    with pytest.raises(CannotServe, match="'chosen'"):
        fleet.arrive("second")


def test_a_routing_policy_cannot_choose_a_worker_that_has_left():
    seen = []

    def one_of_old(fleet):
        seen.extend(fleet.with_room)
        return seen[0]

    fleet = DrivenFleet("w", "v", "u", policies=Policies(routing=Chosen(one_of_old)))
    fleet.arrive("first")
    fleet.arrive("second")
    with pytest.raises(CannotServe, match="'chosen'"):
        fleet.leave(seen[0].worker.name)
