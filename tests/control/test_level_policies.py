"""What every level policy keeps to."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, request, spec
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
