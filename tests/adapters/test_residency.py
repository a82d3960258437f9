import pytest

from adapters.makers import controlnet, lora, registered
from safelight.adapters.capacity import AdapterCapacity
from safelight.adapters.moves import EvictFromDevice, EvictFromHost, LoadToDevice, LoadToHost
from safelight.adapters.residency import Residency
from safelight.adapters.weights import MOVING, Stage
from safelight.core.errors import AdapterTooLarge

CAPACITY = AdapterCapacity(host_bytes=300, device_ranks=16, device_controlnets=1)
"""Three adapters of 100 bytes in host memory, two LoRAs of rank 8 on the device."""


def adapter(name, **fields):
    return registered(lora(name, **fields))


A, B, C, D = (adapter(name) for name in "abcd")
EDGES = registered(controlnet("edges"))


@pytest.fixture
def residency():
    return Residency(CAPACITY)


def settle(residency):
    """Finish all loads, and those that follow from them."""
    while moving := [each for each in (A, B, C, D, EDGES) if residency.stage(each.handle) in MOVING]:
        for each in moving:
            residency.loaded(each.handle)


def serve(residency, *adapters, now):
    """Hold a row until it is ready, and release it."""
    residency.hold("served", adapters, now)
    settle(residency)
    assert residency.is_ready("served")
    residency.release("served", now)


def test_a_row_s_adapters_are_read_as_soon_as_it_arrives(residency):
    assert residency.hold("row", [A, B], 0.0) == [LoadToHost(handle=A.handle), LoadToHost(handle=B.handle)]


def test_what_is_in_host_memory_goes_on_to_the_device(residency):
    residency.hold("row", [A, B], 0.0)
    assert residency.loaded(A.handle) == [LoadToDevice(handle=A.handle)]
    assert residency.loaded(A.handle) == []
    assert residency.stage(A.handle) is Stage.ON_DEVICE


def test_a_row_is_ready_when_the_last_of_its_adapters_is_on_the_device(residency):
    residency.hold("row", [A, EDGES], 0.0)
    for handle in (A.handle, A.handle, EDGES.handle, EDGES.handle):
        assert not residency.is_ready("row")
        residency.loaded(handle)
    assert residency.is_ready("row")


def test_a_row_without_adapters_is_ready_whoever_waits(residency):
    residency.hold("first", [A, B], 0.0)
    residency.hold("waiting", [C], 0.0)
    residency.hold("plain", [], 0.0)
    assert residency.is_ready("plain")


def test_a_row_that_can_never_be_ready_is_refused(residency):
    with pytest.raises(AdapterTooLarge):
        residency.hold("row", [adapter("wide", rank=17)], 0.0)
    with pytest.raises(KeyError):
        residency.is_ready("row")


def test_rows_share_adapters(residency):
    residency.hold("first", [A, B], 0.0)
    assert residency.hold("second", [B], 0.0) == []
    settle(residency)
    assert residency.is_ready("first")
    assert residency.is_ready("second")


def test_a_row_that_does_not_fit_is_read_into_host_memory_meanwhile(residency):
    residency.hold("first", [A, B], 0.0)
    assert residency.hold("second", [C], 0.0) == [LoadToHost(handle=C.handle)]
    settle(residency)
    assert residency.stage(C.handle) is Stage.ON_HOST


def test_a_row_is_granted_when_the_one_before_it_leaves(residency):
    residency.hold("first", [A, B], 0.0)
    residency.hold("second", [C], 0.0)
    settle(residency)
    assert residency.release("first", 1.0) == [EvictFromDevice(handle=A.handle), LoadToDevice(handle=C.handle)]


def test_no_row_overtakes_one_that_waits_for_the_device(residency):
    residency.hold("first", [A], 0.0)
    residency.hold("second", [B, C], 0.0)
    residency.hold("third", [A], 0.0)
    settle(residency)
    assert residency.is_ready("first")
    assert not residency.is_ready("third")
    residency.release("first", 1.0)
    settle(residency)
    assert residency.is_ready("second")


def test_rows_wait_for_no_load_of_others(residency):
    residency.hold("slow", [A], 0.0)
    residency.hold("quick", [B], 0.0)
    residency.loaded(B.handle)
    residency.loaded(B.handle)
    assert residency.is_ready("quick")


def test_a_row_that_gives_up_holds_up_nobody(residency):
    for row_id, adapters in (("first", [A]), ("second", [B, C]), ("third", [A, D])):
        residency.hold(row_id, adapters, 0.0)
    settle(residency)
    residency.release("second", 1.0)
    settle(residency)
    assert residency.is_ready("third")


def test_adapters_stay_after_use(residency):
    serve(residency, A, now=0.0)
    residency.hold("again", [A], 1.0)
    assert residency.is_ready("again")


def test_the_least_recently_used_leave_the_device_first(residency):
    for now, each in enumerate((A, B, A)):
        serve(residency, each, now=now)
    residency.hold("row", [C], 3.0)
    assert residency.loaded(C.handle) == [EvictFromDevice(handle=B.handle), LoadToDevice(handle=C.handle)]


def test_the_least_recently_used_leave_host_memory_first(residency):
    for now, each in enumerate((A, B, C, A)):
        serve(residency, each, now=now)
    moves = residency.hold("row", [D], 4.0)
    assert moves == [EvictFromHost(handle=B.handle), LoadToHost(handle=D.handle)]


def test_what_leaves_host_memory_leaves_the_device_before(residency):
    serve(residency, A, now=0.0)
    big = adapter("big", weights_bytes=250)
    assert residency.hold("row", [big], 1.0) == [
        EvictFromDevice(handle=A.handle),
        EvictFromHost(handle=A.handle),
        LoadToHost(handle=big.handle),
    ]


def test_a_controlnet_takes_the_place_of_a_controlnet_only(residency):
    depth = registered(controlnet("depth"))
    serve(residency, A, EDGES, now=0.0)
    residency.hold("row", [depth], 1.0)
    assert residency.loaded(depth.handle) == [EvictFromDevice(handle=EDGES.handle), LoadToDevice(handle=depth.handle)]


def test_a_prefetch_evicts_what_nobody_holds(residency):
    serve(residency, A, now=0.0)
    residency.hold("first", [B, C], 1.0)
    settle(residency)
    assert residency.hold("second", [D], 1.0) == [EvictFromHost(handle=A.handle), LoadToHost(handle=D.handle)]


def test_a_prefetch_evicts_nothing_that_another_row_waits_for(residency):
    residency.hold("first", [A, B], 0.0)
    residency.hold("second", [C], 0.0)
    settle(residency)
    assert residency.hold("third", [D], 0.0) == []


def test_a_granted_row_takes_the_room_of_the_row_that_will_wait_longest():
    residency = Residency(AdapterCapacity(host_bytes=320, device_ranks=8, device_controlnets=0))
    first, second = adapter("first", weights_bytes=120), adapter("second", weights_bytes=210)
    for each in (first, second, C, D):
        residency.hold(each.spec.name, [each], 0.0)
    for each in (first, C, D):
        residency.loaded(each.handle)
    residency.loaded(first.handle)
    assert residency.release(first.spec.name, 1.0) == [
        EvictFromDevice(handle=first.handle),
        EvictFromHost(handle=first.handle),
        EvictFromHost(handle=D.handle),
        LoadToHost(handle=second.handle),
    ]


def test_a_load_under_way_is_awaited_not_evicted():
    residency = Residency(AdapterCapacity(host_bytes=100, device_ranks=8, device_controlnets=0))
    residency.hold("gone", [A], 0.0)
    residency.hold("row", [B], 0.0)
    assert residency.release("gone", 1.0) == []
    assert residency.loaded(A.handle) == [EvictFromHost(handle=A.handle), LoadToHost(handle=B.handle)]


def test_a_prefetch_takes_no_bytes_that_a_granted_row_waits_for():
    residency = Residency(AdapterCapacity(host_bytes=150, device_ranks=8, device_controlnets=0))
    residency.hold("gone", [A], 0.0)
    residency.release("gone", 1.0)
    assert residency.hold("granted", [B], 1.0) == []
    assert residency.hold("waiting", [adapter("small", weights_bytes=50)], 1.0) == []


def test_what_is_expected_is_read_into_host_memory_one_after_another(residency):
    assert residency.expect([A, B], 0.0) == [LoadToHost(handle=A.handle)]
    assert residency.loaded(A.handle) == [LoadToHost(handle=B.handle)]
    assert residency.loaded(B.handle) == []
    assert residency.stage(A.handle) is Stage.ON_HOST


def test_what_is_expected_is_read_when_all_reads_for_rows_are_over(residency):
    residency.hold("row", [A], 0.0)
    assert residency.expect([B], 0.0) == []
    assert residency.loaded(A.handle) == [LoadToDevice(handle=A.handle), LoadToHost(handle=B.handle)]


def test_a_row_that_was_expected_finds_its_adapters_in_host_memory(residency):
    residency.expect([A], 0.0)
    residency.loaded(A.handle)
    assert residency.hold("row", [A], 1.0) == [LoadToDevice(handle=A.handle)]


def test_what_is_expected_takes_the_place_of_what_was_used_longest_ago(residency):
    for now, each in enumerate((A, B, C)):
        serve(residency, each, now=float(now))
    assert residency.expect([D], 3.0) == [EvictFromHost(handle=A.handle), LoadToHost(handle=D.handle)]


def test_what_is_expected_drives_out_nothing_that_is_expected_too(residency):
    residency.expect([A, B, C, D], 0.0)
    settle(residency)
    assert [residency.stage(each.handle) for each in (A, B, C, D)] == [Stage.ON_HOST] * 3 + [Stage.ABSENT]


def test_rows_take_the_room_of_what_is_expected_last_first(residency):
    residency.expect([A, B, C], 0.0)
    settle(residency)
    assert residency.hold("row", [D], 1.0) == [EvictFromHost(handle=C.handle), LoadToHost(handle=D.handle)]


def test_what_is_no_longer_expected_makes_room_first(residency):
    residency.expect([A, B, C], 0.0)
    settle(residency)
    residency.expect([B, C], 1.0)
    assert residency.hold("row", [D], 1.0) == [EvictFromHost(handle=A.handle), LoadToHost(handle=D.handle)]


def test_an_expected_adapter_that_cannot_be_read_is_not_tried_again_before_it_is_expected_anew(residency):
    residency.expect([A, B], 0.0)
    assert residency.failed(A.handle) == [LoadToHost(handle=B.handle)]
    assert residency.loaded(B.handle) == []
    assert residency.expect([A], 1.0) == [LoadToHost(handle=A.handle)]


def test_an_expected_adapter_may_be_forgotten(residency):
    residency.expect([A, B], 0.0)
    residency.loaded(A.handle)
    assert residency.forget(A.handle) == [EvictFromHost(handle=A.handle)]
    residency.forget(B.handle)
    assert residency.loaded(B.handle) == [EvictFromHost(handle=B.handle)]


def test_what_is_placed_goes_to_the_device(residency):
    assert residency.place([A], 0.0) == [LoadToHost(handle=A.handle)]
    assert residency.loaded(A.handle) == [LoadToDevice(handle=A.handle)]
    residency.loaded(A.handle)
    assert residency.hold("row", [A], 1.0) == []
    assert residency.is_ready("row")


def test_what_is_placed_no_longer_leaves_the_device_but_for_rows(residency):
    residency.place([A, B], 0.0)
    settle(residency)
    residency.hold("row", [A], 1.0)
    assert residency.place([], 2.0) == [EvictFromDevice(handle=B.handle)]
    assert residency.stage(B.handle) is Stage.ON_HOST


def test_what_is_placed_stays_while_other_adapters_come_and_go(residency):
    residency.place([A], 0.0)
    settle(residency)
    for now, each in enumerate((B, C, D, B)):
        serve(residency, each, now=now)
    assert residency.stage(A.handle) is Stage.ON_DEVICE


def test_a_row_takes_the_room_of_what_is_placed_last_and_gives_it_back(residency):
    residency.place([A, B], 0.0)
    settle(residency)
    residency.hold("row", [C], 1.0)
    assert residency.loaded(C.handle) == [EvictFromDevice(handle=B.handle), LoadToDevice(handle=C.handle)]
    residency.loaded(C.handle)
    assert residency.release("row", 2.0) == [EvictFromDevice(handle=C.handle), LoadToDevice(handle=B.handle)]


def test_only_as_much_is_placed_as_fits_on_the_device(residency):
    residency.place([A, B, C], 0.0)
    settle(residency)
    assert [residency.stage(each.handle) for each in (A, B, C)] == [Stage.ON_DEVICE, Stage.ON_DEVICE, Stage.ABSENT]


def test_a_row_has_its_controlnets_as_soon_as_they_are_on_the_device(residency):
    residency.hold("row", [A, EDGES], 0.0)
    residency.loaded(EDGES.handle)
    assert not residency.has_controlnets("row")
    residency.loaded(EDGES.handle)
    assert residency.has_controlnets("row")
    assert not residency.is_ready("row")


def test_a_row_that_waits_for_room_does_not_have_the_controlnets_that_others_hold(residency):
    serve(residency, EDGES, now=0.0)
    residency.hold("first", [A, B], 0.0)
    residency.hold("second", [C, EDGES], 0.0)
    settle(residency)
    assert not residency.has_controlnets("second")


def test_a_row_without_controlnets_lacks_none(residency):
    residency.hold("row", [A], 0.0)
    assert residency.has_controlnets("row")


def test_those_who_hold_an_adapter_are_told_in_their_order(residency):
    for row_id, adapters in (("first", [A, B]), ("second", [B]), ("third", [A])):
        residency.hold(row_id, adapters, 0.0)
    assert residency.holders(A.handle) == ("first", "third")


def test_rows_of_a_failed_load_hold_up_nobody(residency):
    residency.hold("lost", [A, B], 0.0)
    residency.hold("next", [C, D], 0.0)
    residency.failed(A.handle)
    settle(residency)
    assert residency.is_ready("next")
    assert not residency.is_ready("lost")


def test_a_failed_load_is_not_tried_again_for_the_rows_that_lost_it(residency):
    residency.hold("lost", [A], 0.0)
    assert residency.failed(A.handle) == []
    assert residency.release("lost", 1.0) == []


def test_a_failed_load_is_tried_again_for_rows_that_come_after(residency):
    residency.hold("lost", [A], 0.0)
    residency.failed(A.handle)
    assert residency.hold("after", [A], 1.0) == [LoadToHost(handle=A.handle)]
    settle(residency)
    assert residency.is_ready("after")
    assert not residency.is_ready("lost")


def test_weights_that_do_not_reach_the_device_are_read_anew(residency):
    residency.hold("lost", [A], 0.0)
    residency.loaded(A.handle)
    assert residency.failed(A.handle) == [EvictFromHost(handle=A.handle)]
    assert residency.hold("after", [A], 1.0) == [LoadToHost(handle=A.handle)]


def test_a_forgotten_adapter_leaves_at_once(residency):
    serve(residency, A, now=0.0)
    assert residency.forget(A.handle) == [EvictFromDevice(handle=A.handle), EvictFromHost(handle=A.handle)]
    assert residency.host_bytes == 0


def test_an_adapter_forgotten_on_its_way_leaves_when_it_arrives(residency):
    residency.hold("row", [A], 0.0)
    residency.release("row", 1.0)
    assert residency.forget(A.handle) == []
    assert residency.loaded(A.handle) == [EvictFromHost(handle=A.handle)]


def test_an_adapter_forgotten_on_its_way_may_fail(residency):
    residency.hold("row", [A], 0.0)
    residency.release("row", 1.0)
    residency.forget(A.handle)
    assert residency.failed(A.handle) == []
    assert residency.stage(A.handle) is Stage.ABSENT


def test_an_adapter_that_no_row_ever_used_is_forgotten_without_a_move(residency):
    assert residency.forget(A.handle) == []


def test_an_adapter_that_is_held_is_not_forgotten(residency):
    residency.hold("row", [A], 0.0)
    with pytest.raises(AssertionError, match="is held"):
        residency.forget(A.handle)
