"""No tenant fills the queue alone."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet, assigned
from control.makers import use
from safelight.control.commands import Reject
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource

SOURCE = PictureSource(image=Pixels(width=2, height=2, rgb=bytes(12)))


def busy(**settings):
    """A fleet whose only worker is full."""
    fleet = DrivenFleet("w", **settings)
    fleet.arrive("running", tenant="before")
    return fleet


def fill(fleet, tenant, *, most=50, **fields):
    """Let a tenant ask until it is refused; returns how many wait, and the reason."""
    for number in count():
        assert number < most
        commands = fleet.arrive(f"{tenant}-{number}", tenant=tenant, **fields)
        if commands and isinstance(commands[0], Reject):
            return number, commands[0].error.reason
    raise AssertionError


def test_one_tenant_alone_gets_half_of_the_queue():
    assert fill(busy(max_waiting=10, tenants_share_queue=True), "a") == (5, "tenant_queue_full")


def test_two_tenants_get_a_third_each_and_a_third_one_still_finds_a_place():
    fleet = busy(max_waiting=12, tenants_share_queue=True)
    assert fill(fleet, "a") == (6, "tenant_queue_full")
    assert fill(fleet, "b") == (3, "tenant_queue_full")
    assert fill(fleet, "c")[0] > 0


@given(greedy=st.integers(1, 6), max_waiting=st.integers(64, 128))
def test_however_many_tenants_take_what_they_get_another_one_finds_a_place(greedy, max_waiting):
    fleet = busy(max_waiting=max_waiting, tenants_share_queue=True)
    for number in range(greedy):
        fill(fleet, f"greedy{number}", most=max_waiting)
    assert not any(isinstance(each, Reject) for each in fleet.arrive("newcomer", tenant="modest"))


def test_a_limit_for_each_tenant_holds_whatever_is_free():
    fleet = busy(max_waiting=100, max_waiting_per_tenant=2)
    assert [fill(fleet, tenant) for tenant in "ab"] == [(2, "tenant_queue_full")] * 2


def test_without_tenants_the_whole_queue_is_for_one():
    assert fill(busy(max_waiting=10), "") == (10, "queue_full")


def test_bytes_of_input_pictures_are_shared_too():
    fleet = busy(max_waiting=1000, max_waiting_bytes=10 * SOURCE.held_bytes, tenants_share_queue=True)
    assert fill(fleet, "a", source=SOURCE) == (5, "tenant_queue_full")
    assert fill(fleet, "b", source=SOURCE)[0] > 0
    assert not any(isinstance(each, Reject) for each in fleet.arrive("plain", tenant="a"))


def test_a_full_queue_is_full_for_everyone():
    fleet = busy(max_waiting=1, tenants_share_queue=True)
    fleet.arrive("waiting", tenant="a")
    assert fill(fleet, "b") == (0, "queue_full")


def test_a_picture_that_need_not_wait_takes_no_share():
    fleet = DrivenFleet("w", max_waiting=0, tenants_share_queue=True)
    assert assigned(fleet.arrive("one", tenant="a")) == [("one", "w", 1)]


def test_a_refused_tenant_is_told_when_to_come_back_and_its_refusal_is_recorded():
    fleet = busy(max_waiting_per_tenant=1)
    fleet.arrive("waiting", tenant="a")
    (refusal,) = fleet.arrive("refused", tenant="a")
    assert refusal.error.retry_after_s >= 1
    assert "1 of your pictures" in str(refusal.error)
    assert (refusal.outcome.status, refusal.outcome.request.tenant) == ("rejected", "a")


def test_a_group_that_exceeds_the_share_is_refused_as_a_whole():
    fleet = busy(max_waiting_per_tenant=2)
    refusals = fleet.arrive_together("a", "b", "c", tenant="t")
    assert [each.error.reason for each in refusals] == ["tenant_queue_full"] * 3
    assert fleet.waiting == []


def test_a_place_is_free_again_when_a_picture_starts():
    fleet = busy(max_waiting_per_tenant=1)
    fleet.arrive("first", tenant="a")
    fleet.finish("running")
    assert not any(isinstance(each, Reject) for each in fleet.arrive("second", tenant="a"))


def test_pictures_of_an_adapter_are_counted_for_one_tenant():
    fleet = DrivenFleet("w", max_denoiser_rows=8)
    outline = fleet.offer("outline")
    fleet.arrive("a", tenant="a", loras=(use("outline"),))
    fleet.arrive("b", tenant="b", loras=(use("outline"),))
    fleet.arrive("c", tenant="b")
    counts = [fleet.controller.requests_with(outline, tenant=tenant) for tenant in (None, "a", "b", "c")]
    assert counts == [2, 1, 1, 0]
