"""What every level policy keeps to."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet
from control.makers import LARGE, SMALL, request, spec
from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascade import LoadCascade
from safelight.control.levels.demand import DemandEstimate
from safelight.control.levels.diffserve import DiffServe
from safelight.control.levels.load import FleetLoad
from safelight.control.levels.policies import LEVEL_POLICIES
from safelight.core.errors import InvalidParameter, UnknownModel, UnknownSampler
from safelight.core.level import MAX_STEPS

MODELS = {name: spec(name) for name in (LARGE, SMALL)}
SETTINGS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, SMALL, None]),
        "steps": st.none() | st.integers(1, MAX_STEPS),
        "sampler": st.sampled_from(["euler", None]),
        "guidance_scale": st.none() | st.floats(0, 10),
        "quality": st.sampled_from(["low", "medium", "high", "xhigh", "max"]),
        "deadline_s": st.none() | st.floats(0.05, 60),
    }
)


def asking(**settings):
    return msgspec.structs.replace(request(), **settings)


def plain(**settings):
    """A request for the cascade that leaves all to its models."""
    return asking(**{"model": "auto", "steps": None, "guidance_scale": None} | settings)


REQUESTS = SETTINGS.map(lambda settings: asking(**settings))
every_policy = pytest.mark.parametrize("policy", LEVEL_POLICIES, ids=lambda policy: policy.name)


@every_policy
@given(asked=REQUESTS)
def test_every_level_keeps_what_the_client_has_set(policy, asked):
    for level in policy.route(asked, MODELS).levels:
        assert asked.model in {None, level.model}
        assert asked.steps in {None, level.steps}
        assert asked.sampler in {None, level.sampler}
        assert asked.guidance_scale in {None, level.guidance_scale}


@every_policy
@given(asked=REQUESTS)
def test_every_level_is_one_that_its_model_can_serve(policy, asked):
    for level in policy.route(asked, MODELS).levels:
        assert level.sampler in MODELS[level.model].samplers
        assert 0 <= level.first_step < level.steps


@every_policy
@given(asked=REQUESTS)
def test_equal_requests_get_equal_routes(policy, asked):
    assert policy.route(asked, MODELS) == policy.route(asked, MODELS)


@every_policy
@pytest.mark.parametrize(
    ("fields", "error"),
    [({"model": "unheard-of"}, UnknownModel), ({"width": 72}, InvalidParameter), ({"sampler": "odd"}, UnknownSampler)],
)
def test_what_no_level_can_serve_is_refused(policy, fields, error):
    with pytest.raises(error):
        policy.route(asking(**fields), MODELS)


def test_no_two_policies_have_one_name():
    assert len({policy.name for policy in LEVEL_POLICIES}) == len(LEVEL_POLICIES)


AUTO = Cascade(name="auto", light=SMALL, heavy=LARGE, gate="gate")


def under(demand_per_s, *, workers=4):
    """The load of workers of both models, at `demand_per_s` requests for the cascade in each of the last 20 seconds."""
    fleet = DrivenFleet()
    for number in range(workers):
        fleet.join(f"w{number}", spec(SMALL), spec(LARGE))
    demand = DemandEstimate()
    for number in range(int(20 * demand_per_s)):
        demand.arrived(number / demand_per_s)
    state = fleet.controller._fleet
    return FleetLoad(
        now=20.0, workers=state.workers, waiting=state.waiting, cascades={AUTO.name: AUTO}, demand={AUTO.name: demand}
    )


every_choosing_policy = pytest.mark.parametrize(
    "policy", [policy for policy in LEVEL_POLICIES if policy.name != "as-asked"], ids=lambda policy: policy.name
)


@every_choosing_policy
@given(demand_per_s=st.floats(0.1, 50), asked=REQUESTS)
def test_a_request_that_names_a_cascade_gets_a_route_through_its_models(policy, demand_per_s, asked):
    route = policy.route(msgspec.structs.replace(asked, model="auto"), MODELS, under(demand_per_s))
    assert [level.model for level in route.levels] in ([SMALL], [LARGE], [SMALL, LARGE])
    assert all(0 <= gate.share <= 1 for gate in route.gates)


@every_choosing_policy
@given(asked=REQUESTS.filter(lambda asked: asked.model is not None))
def test_a_request_that_names_a_model_gets_that_one_whatever_the_load(policy, asked):
    assert [level.model for level in policy.route(asked, MODELS, under(1.0)).levels] == [asked.model]


@every_choosing_policy
@pytest.mark.parametrize(("quality", "model"), [("low", SMALL), ("high", LARGE), ("max", LARGE)])
def test_low_quality_is_the_light_model_and_high_quality_the_heavy_one(policy, quality, model):
    route = policy.route(asking(model="auto", quality=quality), MODELS, under(1.0))
    assert [level.model for level in route.levels] == [model]


@pytest.mark.parametrize("policy", [LoadCascade(), DiffServe()], ids=lambda policy: policy.name)
def test_more_demand_never_escalates_more(policy):
    shares = []
    for demand_per_s in (0.1, 1, 4, 16, 64, 256):
        route = policy.route(plain(deadline_s=30.0), MODELS, under(demand_per_s))
        shares.append(route.gates[0].share if route.gates else 0.0)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_the_rate_of_arrivals_is_known_after_some_of_them():
    demand = DemandEstimate()
    for number in range(200):
        demand.arrived(number / 10)
    assert demand.rate_per_s(20.0) == pytest.approx(10, rel=0.05)


def test_the_rate_of_arrivals_falls_when_none_come():
    demand = DemandEstimate()
    demand.arrived(0.0)
    assert demand.rate_per_s(60.0) < 0.01
