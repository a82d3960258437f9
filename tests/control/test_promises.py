"""What the controller expects is what the replicas then do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, adapter, request, spec, use
from control.virtual_fleet import VirtualFleet
from safelight.control.placement.no_prefetch import NoPrefetch
from safelight.control.policies import Policies
from safelight.core.model import AdapterCosts
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource

TICKS_S = (0.02, 0.0201379, 0.0203113)
"""Workers of unlike speeds, so that no two ever end a tick at the same moment."""

SOURCE = PictureSource(image=Pixels(width=64, height=64, rgb=bytes(3 * 64 * 64)), strength=1.0)
COSTS = AdapterCosts(switch_s=0.013, unmerged_overhead=0.5, correction_overhead=0.7)
ADAPTERS = tuple(adapter(name, weights_bytes=size) for name, size in (("mask", 10**7), ("outline", 3 * 10**7)))
ON_DEMAND = Policies(placement=NoPrefetch())
LORAS = st.lists(st.sampled_from([use("mask"), use("outline", scale=0.5)]), max_size=2).map(tuple)

STEPS = st.integers(1, 6)
MODELS = st.sampled_from([LARGE, SMALL])
SIZES = st.sampled_from([64, 128])
NARROW = {"model": MODELS, "steps": STEPS}
MIXED = NARROW | {"is_guided": st.booleans()}
ANY_SIZE = MIXED | {"side": SIZES}
EDITS = MIXED | {"source": st.sampled_from([None, SOURCE])}
DUE = ANY_SIZE | {"deadline_s": st.none() | st.floats(0.01, 60)}
LINED = {"model": st.just(LARGE), "steps": STEPS, "loras": LORAS, "grace_steps": st.integers(0, 4)}
WORKERS, MOST_ROWS = st.integers(1, 3), st.integers(2, 6)


def requests_of(fields, *, max_size=12):
    """Requests that have arrived one after another."""
    drawn = st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=max_size)
    return drawn.map(
        lambda many: [request(f"r{number}", arrived_s=number / 1000 - 1, **each) for number, each in enumerate(many)]
    )


def models(tick_s, *, costs=None):
    return tuple(
        spec(name, tick_s=tick_s, encode_s=0.0011, decode_s=0.0017, encode_picture_s=0.0023, adapter_costs=costs)
        for name in (LARGE, SMALL)
    )


def fleet_of(workers, *, most, costs=None, **settings):
    return VirtualFleet(
        *(models(tick_s, costs=costs) for tick_s in TICKS_S[:workers]), max_denoiser_rows=most, **settings
    )


def expected_and_true(requests, fleet):
    """When each picture was expected, once all had arrived, and when it was ready, in seconds from then."""
    began_s = fleet.time.now_s()
    for each in requests:
        fleet.arrive(each)
    expected = {name: seen.finish_s - began_s for name, seen in fleet.controller.expected(began_s).items()}
    fleet.time.run()
    return expected, {name: ready_s - began_s for name, ready_s in fleet.ready_s.items()}


@given(requests=requests_of(ANY_SIZE, max_size=16), most=MOST_ROWS)
def test_one_worker_does_what_is_expected_if_nothing_else_arrives(requests, most):
    expected, true = expected_and_true(requests, fleet_of(1, most=most))
    assert true == pytest.approx(expected)


@given(requests=requests_of(NARROW, max_size=16), workers=st.integers(2, 3), most=MOST_ROWS)
def test_several_workers_do_what_is_expected_of_requests_of_one_width(requests, workers, most):
    expected, true = expected_and_true(requests, fleet_of(workers, most=most))
    assert true == pytest.approx(expected)


@given(requests=requests_of(EDITS), most=MOST_ROWS)
def test_encoding_the_picture_that_another_starts_from_is_expected(requests, most):
    expected, true = expected_and_true(requests, fleet_of(1, most=most))
    assert true == pytest.approx(expected)


@given(requests=requests_of(LINED | {"grace_steps": st.just(0)}), most=MOST_ROWS)
def test_loads_of_adapters_are_expected(requests, most):
    expected, true = expected_and_true(requests, fleet_of(1, most=most, adapters=ADAPTERS, policies=ON_DEMAND))
    assert true == pytest.approx(expected)


@given(requests=requests_of(LINED), most=MOST_ROWS)
def test_steps_of_grace_are_expected(requests, most):
    expected, true = expected_and_true(requests, fleet_of(1, most=most, adapters=ADAPTERS, policies=ON_DEMAND))
    assert true == pytest.approx(expected)


@given(requests=requests_of(LINED), most=MOST_ROWS)
def test_the_end_of_pictures_that_mix_folded_adapters_is_expected_within_15_percent(requests, most):
    fleet = fleet_of(1, most=most, costs=COSTS, adapters=ADAPTERS, policies=ON_DEMAND)
    expected, true = expected_and_true(requests, fleet)
    assert max(true.values()) == pytest.approx(max(expected.values()), rel=0.15)


@given(requests=requests_of(LINED), most=MOST_ROWS)
def test_reading_adapters_ahead_makes_no_end_later_than_expected_by_more_than_a_tick(requests, most):
    expected, true = expected_and_true(requests, fleet_of(1, most=most, adapters=ADAPTERS))
    assert max(true.values()) <= max(expected.values()) + 0.02 + 0.01 * most


@given(requests=requests_of(MIXED | {"loras": LORAS, "model": st.just(LARGE)}), most=MOST_ROWS)
def test_a_worker_that_died_is_made_up_for_by_the_next(requests, most):
    fleet = fleet_of(1, most=most, adapters=ADAPTERS)
    for each in requests:
        fleet.arrive(each)
    fleet.time.run(until=fleet.time.now_s() + 0.05)
    fleet.kill("w0")
    fleet.join(models(TICKS_S[0]))
    fleet.time.run()
    assert set(fleet.ready_s) == {each.id for each in requests}


@given(
    requests=requests_of(ANY_SIZE), most=MOST_ROWS, last=st.fixed_dictionaries(ANY_SIZE), deadline_s=st.floats(0.05, 3)
)
def test_a_deadline_that_is_accepted_is_kept_if_nothing_else_arrives(requests, most, last, deadline_s):
    fleet = fleet_of(1, most=most)
    for each in requests:
        fleet.arrive(each)
    fleet.arrive(request("last", deadline_s=deadline_s, **last))
    fleet.time.run()
    assert fleet.rejected <= {"last"}
    assert fleet.ready_s.get("last", 0.0) <= deadline_s + 1e-9


@given(requests=requests_of(DUE), workers=WORKERS, most=MOST_ROWS)
def test_every_request_that_is_taken_gets_its_picture(requests, workers, most):
    fleet = fleet_of(workers, most=most)
    expected_and_true(requests, fleet)
    assert set(fleet.ready_s) == {each.id for each in requests} - fleet.rejected


@given(st.integers(1, 20), st.floats(0.1, 2.0), WORKERS)
def test_equal_requests_with_equal_deadlines_that_are_taken_are_in_time(count, deadline_s, workers):
    fleet = fleet_of(workers, most=4)
    expected_and_true([request(f"r{number}", deadline_s=deadline_s) for number in range(count)], fleet)
    assert all(ready_s <= deadline_s + 1e-9 for ready_s in fleet.ready_s.values())
