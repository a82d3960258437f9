"""What happens when a deadline passes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.cascade import Cascade
from control.driven_fleet import DrivenFleet, assigned, ends
from control.makers import LARGE, finished, request, spec, ticked
from control.virtual_fleet import VirtualFleet
from safelight.control.admission_policies import OpenAdmission
from safelight.control.commands import Deliver, GiveUp, Send
from safelight.control.events import Arrived, TimePassed, Withdrawn
from safelight.control.policies import Policies
from safelight.core.errors import DeadlineExpired
from safelight.core.work import Cancel, Dropped, Failed, Started

OPEN = Policies(admission=OpenAdmission())


def expiring(name="one", **fields):
    return msgspec.structs.replace(request(name, **{"deadline_s": 2.0} | fields), on_deadline="expire")


def running(**settings):
    """A fleet that has begun a picture that expires at 2 s."""
    fleet = DrivenFleet("w", **settings)
    fleet.handle(Arrived((expiring(),)))
    fleet.report(Started(request_id="one"), now=0.5)
    fleet.report(ticked("one", seconds=0.75), now=1.25)
    return fleet


def test_the_next_wakeup_is_just_after_the_deadline():
    fleet = running()
    assert 2.0 < fleet.controller.next_wakeup_s <= 2.0 + 1e-9


def test_a_running_picture_expires_at_once_and_its_worker_lets_go_of_it():
    fleet = running()
    end, cancel = fleet.handle(TimePassed(), now=2.0)
    assert isinstance(end, GiveUp)
    assert isinstance(end.error, DeadlineExpired)
    assert (end.outcome.status, end.outcome.reason, end.outcome.met_deadline) == ("expired", "deadline_expired", False)
    assert cancel == Send("w", Cancel(request_id="one"))


def test_the_compute_of_an_expired_picture_is_counted():
    fleet = running()
    (end, _) = fleet.handle(TimePassed(), now=2.0)
    assert end.outcome.compute_s == 0.75


@pytest.mark.parametrize("last", [finished("one"), Dropped(request_id="one"), Failed(request_id="one", message="no")])
def test_an_expired_picture_ends_only_once(last):
    fleet = running()
    fleet.handle(TimePassed(), now=2.0)
    assert fleet.report(last, now=2.1) == []
    assert fleet.controller.is_idle


def test_an_expired_picture_whose_worker_dies_ends_only_once():
    fleet = running()
    fleet.handle(TimePassed(), now=2.0)
    assert fleet.leave("w", now=2.1) == []
    assert fleet.controller.is_idle


def test_an_expired_picture_keeps_its_row_until_its_worker_lets_go():
    fleet = running()
    fleet.handle(TimePassed(), now=2.0)
    fleet.arrive("next")
    assert fleet.waiting == ["next"]
    assert (list(fleet.running), fleet.controller.running_count) == ([], 0)
    assert assigned(fleet.report(Dropped(request_id="one"), now=2.1)) == [("next", "w", 1)]


def test_a_waiting_picture_expires_too():
    fleet = DrivenFleet("w", policies=OPEN)
    fleet.arrive("before", steps=100)
    fleet.handle(Arrived((expiring(),)))
    (end,) = fleet.handle(TimePassed(), now=2.0)
    assert (end.request.id, end.outcome.status) == ("one", "expired")
    assert fleet.waiting == []


def test_a_picture_that_is_certain_to_be_late_expires_only_at_its_deadline():
    fleet = DrivenFleet("w", policies=OPEN)
    fleet.arrive("before", steps=100)
    fleet.handle(Arrived((expiring(),)))
    assert fleet.handle(TimePassed(), now=1.99) == []
    assert fleet.waiting == ["one"]


def test_what_is_ready_at_the_deadline_is_delivered():
    fleet = running()
    (delivery,) = fleet.report(finished("one"), now=2.0)
    assert isinstance(delivery, Deliver)
    assert delivery.outcome.met_deadline
    assert fleet.controller.next_wakeup_s is None


def test_what_is_ready_after_the_deadline_has_expired_even_if_nobody_woke_the_controller():
    fleet = running()
    assert [type(end) for end in ends(fleet.report(finished("one"), now=2.5))] == [GiveUp]


def test_a_late_picture_is_finished_where_the_client_has_not_asked_otherwise():
    fleet = DrivenFleet("w")
    fleet.arrive(deadline_s=2.0)
    assert fleet.controller.next_wakeup_s is None
    (delivery,) = fleet.report(finished("one"), now=3.0)
    assert (delivery.outcome.status, delivery.outcome.met_deadline) == ("finished", False)


def test_a_withdrawn_picture_does_not_expire():
    fleet = running()
    fleet.handle(Withdrawn("one"), now=1.5)
    assert fleet.handle(TimePassed(), now=2.0) == []


def test_an_expired_picture_cannot_be_withdrawn():
    fleet = running()
    fleet.handle(TimePassed(), now=2.0)
    assert fleet.handle(Withdrawn("one"), now=2.1) == []


def test_without_a_deadline_nothing_expires():
    fleet = DrivenFleet("w")
    fleet.handle(Arrived((expiring(deadline_s=None),)))
    assert fleet.controller.next_wakeup_s is None


def test_a_later_stage_expires_like_the_first():
    fleet = DrivenFleet("w", policies=Policies(admission=OpenAdmission(), level=Cascade()))
    fleet.handle(Arrived((msgspec.structs.replace(expiring(), model=None, steps=None),)))
    fleet.report(finished("one", score=0.0), now=1.0)
    assert fleet.running["one"].stage == 1
    (end, _) = fleet.handle(TimePassed(), now=2.0)
    assert (end.outcome.status, len(end.outcome.stages)) == ("expired", 2)


def test_in_virtual_time_each_picture_expires_or_is_in_time():
    fleet = VirtualFleet((spec(LARGE),), max_denoiser_rows=4, policies=OPEN)
    for number in range(60):
        fleet.arrive(expiring(f"r{number}", steps=10, deadline_s=0.5 + number / 20))
    fleet.time.run()
    statuses = {outcome.status for outcome in fleet.outcomes.values()}
    assert len(fleet.outcomes) == 60
    assert statuses == {"finished", "expired"}
    assert all(each.met_deadline == (each.status == "finished") for each in fleet.outcomes.values())
    assert fleet.controller.is_idle


@given(arrived_s=st.floats(0, 1e6), deadline_s=st.floats(0.5, 100))
def test_what_is_ready_at_the_deadline_itself_has_met_it_whatever_the_clock_says(arrived_s, deadline_s):
    fleet = DrivenFleet("w")
    fleet.now = arrived_s
    fleet.handle(Arrived((expiring(arrived_s=arrived_s, deadline_s=deadline_s),)))
    (delivery,) = fleet.report(finished("one"), now=arrived_s + deadline_s)
    assert delivery.outcome.met_deadline
