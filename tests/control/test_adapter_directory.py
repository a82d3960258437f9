"""Adapters that requests may name: offered to all workers, judged by the first, kept until the last use ends."""

import pytest

from control.driven_fleet import DrivenFleet, ends
from control.makers import LARGE, SMALL, adapter, request, use
from safelight.control.commands import AnswerOffer, Send
from safelight.control.events import AdapterOffered, AdapterRemoved, Arrived, Withdrawn
from safelight.core.adapter import AdapterHandle
from safelight.core.errors import (
    AdapterExists,
    AdapterFileError,
    AdapterMisfit,
    InvalidParameter,
    NotReady,
    TooManyAdapters,
    UnknownAdapter,
)
from safelight.core.work import AdapterAdded, AdapterRefused, AddAdapter, RemoveAdapter

OUTLINE = AdapterHandle("outline", 1)
ADD = AddAdapter(handle=OUTLINE, path="/adapters/outline")
REMOVE = RemoveAdapter(handle=OUTLINE)
ADDED = AdapterAdded(handle=OUTLINE, spec=adapter("outline"))
REFUSED = AdapterRefused(handle=OUTLINE, message="It is broken.")
LINED = (use("outline"),)


def offer(fleet, name="outline", **fields):
    return fleet.handle(AdapterOffered(f"offer of {name}", name, f"/adapters/{name}", **fields))


def remove(fleet, name="outline"):
    return fleet.handle(AdapterRemoved("removal", name))


def names(fleet):
    return [each.spec.name for each in fleet.controller.adapters]


def answer(commands):
    (only,) = [each.result for each in commands if isinstance(each, AnswerOffer)]
    return only


def test_an_offer_goes_to_every_worker():
    assert offer(DrivenFleet("w", "v")) == [Send("w", ADD), Send("v", ADD)]


def test_an_adapter_may_be_named_once_a_worker_has_read_it():
    fleet = DrivenFleet("w")
    offer(fleet)
    assert names(fleet) == []
    (verdict,) = fleet.report(ADDED)
    assert verdict == AnswerOffer("offer of outline", adapter("outline"))
    assert names(fleet) == ["outline"]


def test_an_offer_without_a_worker_goes_to_the_first_that_joins():
    fleet = DrivenFleet()
    assert offer(fleet) == []
    assert fleet.join("w") == [Send("w", ADD)]


def test_a_worker_that_joins_gets_all_adapters():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    offer(fleet, "mask")
    assert [each.command.handle.name for each in fleet.join("v")] == ["outline", "mask"]


def test_the_first_worker_to_read_an_adapter_decides():
    fleet = DrivenFleet("w", "v")
    offer(fleet)
    fleet.report(ADDED)
    assert fleet.report(REFUSED, worker="v") == []
    assert names(fleet) == ["outline"]


def test_all_workers_forget_an_adapter_that_the_first_could_not_use():
    fleet = DrivenFleet("w", "v")
    offer(fleet)
    commands = fleet.report(REFUSED)
    assert commands[:2] == [Send("w", REMOVE), Send("v", REMOVE)]
    assert isinstance(answer(commands), AdapterFileError)
    assert str(answer(commands)) == "It is broken."
    assert fleet.report(ADDED, worker="v") == []
    assert names(fleet) == []
    assert fleet.join("u") == []


def test_a_name_is_taken_while_the_adapter_is_being_read():
    fleet = DrivenFleet("w")
    offer(fleet)
    assert isinstance(answer(offer(fleet)), AdapterExists)


def test_a_name_is_taken_as_long_as_the_adapter_is_registered():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    assert isinstance(answer(offer(fleet)), AdapterExists)
    remove(fleet)
    assert offer(fleet)[0].command == AddAdapter(handle=AdapterHandle("outline", 2), path="/adapters/outline")


def test_a_refused_name_is_free_again():
    fleet = DrivenFleet("w")
    offer(fleet)
    fleet.report(REFUSED)
    assert offer(fleet)[0].command.handle == AdapterHandle("outline", 2)


@pytest.mark.parametrize("name", ["a/b", "not a name", ".hidden", "", "x" * 65])
def test_names_are_checked_before_any_worker_gets_the_adapter(name):
    (verdict,) = offer(DrivenFleet("w"), name)
    assert isinstance(verdict.result, InvalidParameter)
    assert "64 letters" in str(verdict.result)


def test_nothing_is_ready_before_each_initial_adapter_has_been_judged():
    fleet = DrivenFleet("w")
    offer(fleet, is_initial=True)
    offer(fleet, "not a name", is_initial=True)
    assert isinstance(fleet.controller.refusal, NotReady)
    fleet.report(REFUSED)
    assert fleet.controller.refusal is None


def test_a_later_offer_keeps_nobody_waiting():
    fleet = DrivenFleet("w")
    offer(fleet)
    assert fleet.controller.refusal is None


def test_a_removed_adapter_that_nobody_uses_goes_at_once():
    fleet = DrivenFleet("w", "v")
    fleet.offer("outline")
    commands = remove(fleet)
    assert commands[:2] == [Send("w", REMOVE), Send("v", REMOVE)]
    assert answer(commands) == adapter("outline")
    assert names(fleet) == []


def test_removing_what_is_not_there_is_answered_with_the_error():
    assert isinstance(answer(remove(DrivenFleet("w"))), UnknownAdapter)


def test_a_removed_adapter_is_kept_for_the_pictures_under_way_and_goes_after_them():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    fleet.arrive_together("running", "waiting", loras=LINED)
    assert [each for each in remove(fleet) if isinstance(each, Send)] == []
    assert isinstance(fleet.arrive("late", loras=LINED)[0].error, UnknownAdapter)
    assert fleet.join("v")[0] == Send("v", ADD)
    assert Send("w", REMOVE) not in fleet.finish("running")
    assert Send("w", REMOVE) in fleet.finish("waiting", worker="v")


def test_a_withdrawn_picture_releases_its_adapters():
    fleet = DrivenFleet("w")
    handle = fleet.offer("outline")
    fleet.arrive_together("running", "waiting", loras=LINED)
    assert fleet.controller.requests_with(handle) == 2
    fleet.handle(Withdrawn("waiting"))
    assert fleet.controller.requests_with(handle) == 1


def test_a_name_can_be_given_anew_while_its_predecessor_is_in_use():
    fleet = DrivenFleet("w", max_denoiser_rows=2)
    old = fleet.offer("outline")
    fleet.arrive("before", loras=LINED)
    remove(fleet)
    new = AdapterHandle("outline", 2)
    offer(fleet)
    fleet.report(AdapterAdded(handle=new, spec=adapter("outline")))
    (run,) = fleet.arrive("after", loras=LINED)
    assert run.command.job.adapters == (new,)
    assert [fleet.controller.requests_with(each) for each in (old, new)] == [1, 1]
    assert Send("w", REMOVE) in fleet.finish("before")
    assert names(fleet) == ["outline"]


def test_a_picture_that_runs_again_keeps_its_adapters():
    fleet = DrivenFleet("w", "v")
    handle = fleet.offer("outline")
    fleet.arrive(loras=LINED)
    (run,) = [each for each in fleet.leave("w") if isinstance(each, Send)]
    assert run.command.job.adapters == (handle,)
    assert fleet.controller.requests_with(handle) == 1


def test_a_request_with_too_many_adapters_is_refused():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    assert isinstance(fleet.arrive(loras=LINED * 9)[0].error, TooManyAdapters)


def test_an_adapter_that_is_named_twice_is_held_once():
    fleet = DrivenFleet("w")
    handle = fleet.offer("outline")
    (run,) = fleet.arrive(loras=LINED * 2)
    assert run.command.job.adapters == (handle,)
    assert fleet.controller.requests_with(handle) == 1


def test_an_adapter_for_another_model_is_refused():
    fleet = DrivenFleet("w")
    fleet.offer("outline", model=SMALL)
    (refusal,) = fleet.arrive(model=LARGE, loras=LINED)
    assert isinstance(refusal.error, AdapterMisfit)


def test_a_controlnet_is_no_lora():
    fleet = DrivenFleet("w")
    fleet.offer("edges", kind="controlnet")
    assert isinstance(fleet.arrive("one", loras=(use("edges"),))[0].error, AdapterMisfit)
    assert not ends(fleet.handle(Arrived((request("two", controlnets=(AdapterHandle("edges", 1),)),))))


def test_a_bad_second_adapter_keeps_no_hold_of_the_first():
    fleet = DrivenFleet("w")
    handle = fleet.offer("outline")
    fleet.handle(Arrived((request(loras=LINED, controlnets=(AdapterHandle("missing", 1),)),)))
    assert fleet.controller.requests_with(handle) == 0
