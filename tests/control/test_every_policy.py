"""Whatever policies a server runs, over real replicas, every request ends once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.cascade import THRESHOLD, Cascade
from control.makers import LARGE, SMALL, adapter, request, spec, use
from control.virtual_fleet import VirtualFleet
from safelight.control.policies import MEMBERS, PRESETS, Policies, policies_from
from safelight.core.model import AdapterCosts

COSTS = AdapterCosts(switch_s=0.013, unmerged_overhead=0.5, correction_overhead=0.7)
ADAPTERS = tuple(adapter(name, weights_bytes=4 * 10**6) for name in ("mask", "outline"))
FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, LARGE, SMALL, None]),
        "steps": st.integers(1, 5),
        "is_guided": st.booleans(),
        "side": st.sampled_from([64, 64, 128]),
        "deadline_s": st.none() | st.floats(0.05, 5),
        "grace_steps": st.integers(0, 2),
    }
)
LORAS = st.lists(st.sampled_from([use("mask"), use("outline", scale=0.5)]), max_size=2).map(tuple)
GROUPS = st.lists(st.lists(st.tuples(FIELDS, LORAS), min_size=1, max_size=3), min_size=1, max_size=8)
CHOICES = [f"{family}={policy.name}" for family, policies in MEMBERS.items() for policy in policies]
CHOICES += [preset.name for preset in PRESETS]


def served(groups, policies, *, kills=(), score=None):
    """Have groups of requests arrive, 0.1 s apart, while some workers die; returns their ids, and the fleet."""
    specs = tuple(spec(name, encode_s=0.001, decode_s=0.002, adapter_costs=COSTS) for name in (LARGE, SMALL))
    fleet = VirtualFleet(
        specs, specs, max_denoiser_rows=3, adapters=ADAPTERS, policies=policies, max_attempts=99, score=score
    )
    names = []
    for number, group in enumerate(groups):
        now_s = fleet.time.now_s()
        arriving = []
        for member, (fields, loras) in enumerate(group):
            fitting = {"loras": loras} if fields["model"] == LARGE else {}
            arriving.append(request(f"r{number}.{member}", arrived_s=now_s, **fields, **fitting))
        names += [each.id for each in arriving]
        fleet.arrive(*arriving)
        if number in kills:
            fleet.kill(next(name for name, each in fleet.workers.items() if not each.is_dead))
            fleet.join(specs)
        fleet.time.run(until=now_s + 0.1)
    fleet.time.run()
    return names, fleet


@pytest.mark.parametrize("choice", CHOICES)
@settings(max_examples=15)
@given(groups=GROUPS, kills=st.sets(st.integers(0, 7), max_size=2))
def test_every_request_that_is_taken_gets_its_picture_though_workers_die(choice, groups, kills):
    names, fleet = served(groups, policies_from([choice]), kills=kills)
    assert set(fleet.ready_s) | fleet.rejected == set(names)
    assert not set(fleet.ready_s) & fleet.rejected
    assert fleet.controller.is_idle


@settings(max_examples=15)
@given(groups=GROUPS, kills=st.sets(st.integers(0, 7), max_size=2))
def test_every_request_that_is_taken_gets_its_picture_though_it_passes_through_levels(groups, kills):
    policies = Policies(level=Cascade())
    names, fleet = served(groups, policies, kills=kills, score=lambda job: THRESHOLD * (job.level.steps % 2))
    assert set(fleet.ready_s) | fleet.rejected == set(names)
    assert fleet.controller.is_idle
