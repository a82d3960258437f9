"""What is accepted is in time at every load, whatever mixes, and little that could be made in time is refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.cascade import Cascade
from control.load import CAPACITY_PER_S, ROW_S, ROWS, TICK_S, offer
from control.makers import LARGE, SMALL, adapter, request, spec, use
from control.virtual_fleet import VirtualFleet
from safelight.control.events import Withdrawn
from safelight.control.policies import Policies
from safelight.core.model import AdapterCosts
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource

MOST_LATE_SHARE = 0.01
LEAST_GOODPUT = 0.85
MODEL = spec(tick_s=TICK_S, row_s=ROW_S)
OUTSIDE = {"encode_s": 0.003, "decode_s": 0.005, "encode_picture_s": 0.02}
MODELS = tuple(spec(name, tick_s=TICK_S, row_s=ROW_S, **OUTSIDE) for name in (LARGE, SMALL))
SOURCE = PictureSource(image=Pixels(width=64, height=64, rgb=bytes(3 * 64 * 64)), strength=1.0)
LORAS = [(), (use("mask"),), (use("outline"),), (use("mask"), use("outline"))]
COSTS = AdapterCosts(switch_s=0.013, unmerged_overhead=0.5, correction_overhead=0.7)


def tight(rng):
    return {"deadline_s": rng.choice([rng.uniform(0.1, 0.8), rng.uniform(2, 16)])}


def mixed(rng):
    return {
        "deadline_s": rng.choice([None, rng.uniform(0.5, 4), rng.uniform(2, 16)]),
        "side": rng.choice([64, 64, 128]),
        "steps": rng.choice([2, 4, 8]),
        "is_guided": rng.random() < 0.3,
        "model": rng.choice([LARGE, SMALL]),
    }


def edits(rng):
    return {"deadline_s": rng.uniform(1, 8), "source": SOURCE if rng.random() < 0.7 else None}


def with_loras(rng):
    return {"deadline_s": rng.uniform(2, 16), "loras": rng.choice(LORAS)}


@pytest.mark.parametrize("load", [0.5, 0.9])
def test_nearly_all_is_accepted_while_there_is_capacity(load):
    assert offer(load, seconds=10).accepted_share >= 0.98


@pytest.mark.parametrize("load", [0.5, 0.9, 1.2, 2.0, 10.0])
def test_nearly_all_that_is_accepted_is_in_time_at_every_load(load):
    assert offer(load, seconds=10).accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("load", [1.2, 2.0, 10.0])
def test_refusals_leave_no_capacity_unused_under_overload(load):
    assert offer(load, seconds=10).on_time_share >= LEAST_GOODPUT


@pytest.mark.parametrize("load", [0.9, 2.0])
def test_many_workers_keep_their_deadlines_too(load):
    result = offer(load, workers=16, seconds=1)
    assert result.accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("load", [0.5, 2.0, 10.0])
def test_deadlines_near_the_time_that_a_picture_takes_are_kept(load):
    result = offer(load, seconds=8, fields=tight)
    assert result.accepted_late_share <= MOST_LATE_SHARE
    assert result.accepted_share >= 0.1


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("load", [0.9, 2.0, 10.0])
def test_sizes_widths_models_and_steps_may_mix(load, workers):
    fleet = VirtualFleet(*[MODELS] * workers, max_denoiser_rows=ROWS)
    assert offer(load, seconds=6, fields=mixed, capacity_per_s=8, fleet=fleet).accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("load", [0.9, 3.0])
def test_encoding_of_start_pictures_is_allowed_for(load):
    fleet = VirtualFleet(MODELS, max_denoiser_rows=ROWS)
    assert offer(load, seconds=6, fields=edits, fleet=fleet).accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("load", [0.9, 3.0])
def test_loads_and_overheads_of_loras_are_allowed_for(load):
    adapters = tuple(adapter(name, weights_bytes=10**7) for name in ("mask", "outline"))
    model = spec(tick_s=TICK_S, row_s=ROW_S, adapter_costs=COSTS)
    fleet = VirtualFleet((model,), max_denoiser_rows=ROWS, adapters=adapters)
    assert offer(load, seconds=6, fields=with_loras, fleet=fleet).accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("load", [0.9, 3.0, 10.0])
def test_workers_that_are_slower_than_measured_are_found_out_in_time(load):
    fleet = VirtualFleet((MODEL,), max_denoiser_rows=ROWS, slowness=1.3)
    result = offer(load, seconds=8, capacity_per_s=CAPACITY_PER_S / 1.3, fleet=fleet)
    assert result.accepted_late_share <= MOST_LATE_SHARE


@pytest.mark.parametrize("shape", [{"burst": 20}, {"group": 4}])
@pytest.mark.parametrize("load", [0.9, 10.0])
def test_bursts_and_groups_make_nothing_late(load, shape):
    assert offer(load, seconds=6, **shape).accepted_late_share <= MOST_LATE_SHARE


@settings(max_examples=12)
@given(
    seed=st.integers(0, 1000),
    load=st.sampled_from([0.5, 1.0, 2.0, 8.0]),
    workers=st.integers(1, 2),
    shortest_s=st.floats(0.2, 3),
    spread_s=st.floats(0, 20),
)
def test_whatever_the_deadlines_what_is_accepted_is_in_time(seed, load, workers, shortest_s, spread_s):
    def fields(rng):
        return {"deadline_s": shortest_s + rng.random() * spread_s}

    result = offer(load, workers=workers, seconds=2, seed=seed, fields=fields)
    assert result.late <= max(1, MOST_LATE_SHARE * result.accepted)


def test_an_urgent_newcomer_is_refused_if_it_makes_an_accepted_picture_late():
    # A full call of 8 rows takes 0.1 s, so 8 pictures of 10 steps take 1 s.
    fleet = VirtualFleet((MODEL,), max_denoiser_rows=ROWS)
    taken = [request(f"r{number}", steps=10, deadline_s=4.0) for number in range(60)]
    for each in taken:
        fleet.arrive(each)
    accepted = {each.id for each in taken} - fleet.rejected
    assert 10 < len(accepted) < 40
    urgent = [request(f"urgent{number}", steps=10, deadline_s=3.9) for number in range(8)]
    for each in urgent:
        fleet.arrive(each)
    fleet.time.run()
    assert {each.id for each in urgent} <= fleet.rejected
    assert all(fleet.outcomes[name].met_deadline for name in accepted)


def test_a_withdrawn_request_leaves_its_time_to_the_next():
    fleet = VirtualFleet((MODEL,), max_denoiser_rows=ROWS)
    for number in range(60):
        fleet.arrive(request(f"r{number}", steps=10, deadline_s=4.0))
    fleet.arrive(request("before", steps=10, deadline_s=3.9))
    waiting = [each.request.id for each in fleet.controller.waiting]
    for name in waiting[:2]:
        fleet.handle(Withdrawn(name))
    fleet.arrive(request("after", steps=10, deadline_s=3.9))
    assert "before" in fleet.rejected
    assert "after" not in fleet.rejected


def test_an_idle_server_accepts_what_it_can_do_alone():
    fleet = VirtualFleet((MODEL,), max_denoiser_rows=ROWS)
    fleet.arrive(request(steps=10, deadline_s=0.31))
    fleet.time.run()
    assert fleet.outcomes["one"].met_deadline


def test_after_a_lost_worker_those_that_can_be_in_time_go_before_those_that_cannot():
    fleet = VirtualFleet((MODEL,), (MODEL,), max_denoiser_rows=ROWS)
    for number in range(60):
        fleet.arrive(request(f"r{number}", steps=10, deadline_s=4.0))
    fleet.time.run(until=1.5)
    fleet.kill("w0")
    fleet.time.run()
    accepted = [outcome for name, outcome in fleet.outcomes.items() if name not in fleet.rejected]
    late = [outcome for outcome in accepted if not outcome.met_deadline]
    assert all(outcome.status == "finished" for outcome in accepted)
    assert len(late) <= 24, "the lost half of two seconds' work and no more"


def test_a_deadline_is_promised_only_if_all_stages_of_the_route_can_meet_it():
    # The cascade runs the small model first, and the large one if the picture is not accepted.
    refused, taken = (
        VirtualFleet(MODELS, max_denoiser_rows=ROWS, policies=Policies(level=Cascade()), score=lambda job: 0.0)
        for _ in range(2)
    )
    refused.arrive(msgspec.structs.replace(request(deadline_s=0.2), model=None))
    taken.arrive(msgspec.structs.replace(request(deadline_s=1.0), model=None))
    taken.time.run()
    assert refused.rejected == {"one"}
    assert len(taken.outcomes["one"].stages) == 2
    assert taken.outcomes["one"].met_deadline


@pytest.mark.parametrize("load", [0.9, 4.0])
def test_cascades_keep_their_promises(load):
    fleet = VirtualFleet(
        MODELS,
        max_denoiser_rows=ROWS,
        policies=Policies(level=Cascade()),
        score=lambda job: 1.0 if int(job.id[1:]) % 3 else 0.0,
    )

    def fields(rng):
        return {"deadline_s": rng.uniform(2, 16), "model": None}

    result = offer(load, seconds=6, fields=fields, capacity_per_s=CAPACITY_PER_S / 1.4, fleet=fleet)
    assert result.accepted_late_share <= MOST_LATE_SHARE
