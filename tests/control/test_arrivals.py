"""Requests that arrive together are taken together or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet, assigned
from control.makers import LARGE, SMALL, request, spec, use
from safelight.control.commands import Reject, Send
from safelight.control.events import AdapterRemoved, Arrived
from safelight.core.errors import UnknownAdapter
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource
from safelight.core.work import RemoveAdapter, Run

SOURCE = PictureSource(image=Pixels(width=2, height=2, rgb=bytes(12)))
OUTLINE = use("outline")

MEMBERS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, LARGE, LARGE, SMALL, "shapes-nowhere"]),
        "steps": st.integers(1, 5),
        "is_guided": st.booleans(),
        "deadline_s": st.sampled_from([None, None, 100.0, 0.3, 0.1]),
        "loras": st.sampled_from([(), (), (OUTLINE,), (use("missing"),)]),
        "source": st.sampled_from([None, None, SOURCE]),
    }
)
GROUPS = st.lists(MEMBERS, min_size=1, max_size=4)


def group(members, *, first=0):
    return tuple(request(f"r{number}", **fields) for number, fields in enumerate(members, first))


@given(before=st.lists(MEMBERS, max_size=8), members=GROUPS, max_waiting=st.integers(0, 4))
def test_a_group_is_taken_or_leaves_no_trace(before, members, max_waiting):
    fleet = DrivenFleet("w", "v", max_denoiser_rows=2, max_waiting=max_waiting, max_waiting_bytes=2 * SOURCE.held_bytes)
    outline = fleet.offer("outline")
    for number, fields in enumerate(before):
        fleet.arrive(f"before{number}", **fields)
    known = {*fleet.waiting, *fleet.running}
    in_use = fleet.controller.requests_with(outline)
    arriving = group(members)
    commands = fleet.handle(Arrived(arriving))
    accepted = {*fleet.waiting, *fleet.running} - known
    if any(isinstance(each, Reject) for each in commands):
        assert [each.request for each in commands if isinstance(each, Reject)] == list(arriving)
        assert not accepted
        assert fleet.controller.requests_with(outline) == in_use
        assert not {name for name, *_ in assigned(commands)} - known
    else:
        assert accepted == {each.id for each in arriving}
        assert fleet.controller.requests_with(outline) == in_use + sum(bool(each.loras) for each in arriving)


@given(members=GROUPS, max_waiting=st.integers(0, 4))
def test_the_room_that_a_refused_group_would_have_taken_is_free_for_the_next_request(members, max_waiting):
    fleet = DrivenFleet("w", max_denoiser_rows=2, max_waiting=max_waiting)
    refused = any(isinstance(each, Reject) for each in fleet.handle(Arrived(group(members))))
    if refused:
        assert assigned(fleet.arrive("next", is_guided=True)) == [("next", "w", 1)]


def test_all_of_a_group_are_refused_for_the_same_reason():
    refusals = DrivenFleet("w", max_waiting=2).arrive_together("a", "b", "c", "d")
    assert [(each.request.id, each.error.reason) for each in refusals] == [(name, "queue_full") for name in "abcd"]
    assert all(each.outcome.status == "rejected" for each in refusals)


def test_a_group_waits_as_far_as_it_finds_no_room():
    fleet = DrivenFleet("w", max_waiting=2)
    assert assigned(fleet.arrive_together("a", "b", "c")) == [("a", "w", 1)]
    assert fleet.waiting == ["b", "c"]


def test_a_member_of_a_group_is_judged_after_those_before_it():
    # One row at a time: 4 steps of 0.03 s each, so that the third is ready after 0.36 s.
    assert not any(isinstance(each, Reject) for each in DrivenFleet("w").arrive_together("a", "b", deadline_s=0.3))
    refusals = DrivenFleet("w").arrive_together("a", "b", "c", deadline_s=0.3)
    assert [each.error.reason for each in refusals] == ["deadline_unmeetable"] * 3


def test_what_can_never_be_served_comes_before_what_cannot_be_taken_now():
    fleet = DrivenFleet("w", max_waiting=0)
    fleet.arrive("running")
    (refusal,) = fleet.arrive("late", loras=(OUTLINE,))
    assert isinstance(refusal.error, UnknownAdapter)
    refusals = fleet.handle(Arrived((request("a"), request("b", loras=(OUTLINE,)))))
    assert all(isinstance(each.error, UnknownAdapter) for each in refusals)


def test_a_refused_group_keeps_no_removed_adapter_from_going():
    fleet = DrivenFleet("w", max_waiting=0)
    outline = fleet.offer("outline")
    fleet.arrive_together("a", "b", loras=(OUTLINE,))
    removal = fleet.handle(AdapterRemoved("removal", "outline"))
    assert Send("w", RemoveAdapter(handle=outline)) in removal


def test_what_a_group_was_sent_before_its_refusal_goes_to_nobody():
    fleet = DrivenFleet("w", "v", max_waiting=0)
    commands = fleet.arrive_together("a", "b", "c")
    assert not any(isinstance(each, Send) and isinstance(each.command, Run) for each in commands)


def test_a_group_for_two_models_goes_to_the_workers_of_each():
    fleet = DrivenFleet()
    fleet.join("large", spec(LARGE))
    fleet.join("small", spec(SMALL))
    commands = fleet.handle(Arrived((request("a", model=SMALL), request("b", model=LARGE))))
    assert assigned(commands) == [("a", "small", 1), ("b", "large", 1)]
