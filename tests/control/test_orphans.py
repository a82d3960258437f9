"""Requests whose model nobody serves are given up in time, if `TimePassed` comes when it was asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet
from control.makers import LARGE, SMALL, spec
from safelight.control.commands import GiveUp
from safelight.control.events import TimePassed, Withdrawn

WAIT_S = 60.0
MODELS = st.sampled_from([LARGE, SMALL])
ACTIONS = st.tuples(st.sampled_from(["arrive", "join", "leave", "withdraw", "finish"]), MODELS, st.integers(0, 50))


class Driver:
    """Lets time pass only by events, and wakes the controller when it asks for it."""

    def __init__(self):
        self.fleet = DrivenFleet(max_denoiser_rows=2, orphan_wait_s=WAIT_S, max_attempts=99, max_waiting=99)
        self.given_up = {}
        self.count = 0
        self.live = {}
        self.unserved_since = {}
        self.arrived = {}
        for model in (LARGE, SMALL):
            self.do("join", model)
            self.do("leave", model)

    def pass_until(self, moment):
        while (wakeup_s := self.fleet.controller.next_wakeup_s) is not None and wakeup_s <= moment:
            assert wakeup_s > self.fleet.now or wakeup_s == self.fleet.now
            self.note(self.fleet.handle(TimePassed(), now=wakeup_s))
            after_s = self.fleet.controller.next_wakeup_s
            assert after_s is None or after_s > wakeup_s, "one waking is enough"
        self.fleet.now = moment

    def note(self, commands):
        for command in commands:
            if isinstance(command, GiveUp):
                self.given_up[command.request.id] = (command.request.model, self.fleet.now)

    def do(self, action, model):
        self.count += 1
        name = f"n{self.count}"
        fleet = self.fleet
        if action == "arrive":
            self.arrived[name] = fleet.now
            self.note(fleet.arrive(name, model=model))
        elif action == "join":
            self.live[name] = model
            self.unserved_since.pop(model, None)
            self.note(fleet.join(name, spec(model)))
        elif action == "leave" and model in self.live.values():
            worker = next(name for name, served in self.live.items() if served == model)
            del self.live[worker]
            if model not in self.live.values():
                self.unserved_since[model] = fleet.now
            self.note(fleet.leave(worker))
        elif action == "withdraw" and fleet.waiting:
            self.note(fleet.handle(Withdrawn(fleet.waiting[0])))
        elif action == "finish" and fleet.running:
            running = next(iter(fleet.running.values()))
            self.note(fleet.finish(running.request.id, worker=running.worker))


@given(actions=st.lists(ACTIONS, max_size=40))
def test_driven_by_its_wakeups_alone_the_controller_gives_up_each_orphan_exactly_in_time(actions):
    driver = Driver()
    for action, model, seconds in actions:
        before = dict(driver.given_up)
        driver.pass_until(driver.fleet.now + seconds)
        for name in driver.given_up.keys() - before.keys():
            orphaned_model, at_s = driver.given_up[name]
            assert at_s == max(driver.arrived[name], driver.unserved_since[orphaned_model]) + WAIT_S
        for each in driver.fleet.controller.waiting:
            since_s = driver.unserved_since.get(each.request.model)
            assert since_s is None or driver.fleet.now < max(each.request.arrived_s, since_s) + WAIT_S
        driver.do(action, model)
    driver.pass_until(driver.fleet.now + 2 * WAIT_S)
    assert all(driver.fleet.controller.is_served(each.request.model) for each in driver.fleet.controller.waiting)


def test_without_an_orphan_the_controller_asks_for_no_wakeup():
    fleet = DrivenFleet("w")
    fleet.arrive("running")
    fleet.arrive("waiting")
    assert fleet.controller.next_wakeup_s is None


def test_a_wakeup_that_comes_early_changes_nothing():
    fleet = DrivenFleet("w", orphan_wait_s=WAIT_S)
    fleet.leave("w")
    fleet.arrive()
    wakeup_s = fleet.controller.next_wakeup_s
    assert fleet.handle(TimePassed(), now=wakeup_s - 1) == []
    assert fleet.controller.next_wakeup_s == wakeup_s == pytest.approx(WAIT_S)
