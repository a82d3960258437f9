"""What a cascade does with requests that leave no choice, and with promises."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL
from control.test_level_policies import AUTO, MODELS, REQUESTS, asking, every_choosing_policy, plain, under
from safelight.cascade.router import Router, places_of
from safelight.control.adapter_directory import AdapterDirectory
from safelight.control.levels.cascade import LoadCascade
from safelight.control.levels.load import FleetLoad
from safelight.control.levels.naming import unlike
from safelight.control.levels.router_only import RouterOnly
from safelight.control.levels.steadiness import RISE_S, SteadyShare
from safelight.core.adapter import AdapterSpec, LoraUse
from safelight.core.errors import InvalidParameter

HARD, EASY = "hard", "easy"


def models_of(route):
    return [level.model for level in route.levels]


def with_cascade(cascade, load=None):
    load = load or under(1.0)
    return FleetLoad(
        now=load.now, workers=load.workers, cascades={cascade.name: cascade}, demand=load.demand, adapters=load.adapters
    )


def routing(threshold):
    """A router that finds one word hard and any other easy."""
    router = Router(
        embedding=np.zeros((64, 1), np.float32),
        hidden_bias=np.zeros(1, np.float32),
        output=np.array([16.0], np.float32),
        output_bias=-4.0,
        threshold=threshold,
    )
    router.embedding[places_of(HARD, 64)[0]] = 1.0
    assert places_of(HARD, 64) != places_of(EASY, 64)
    return msgspec.structs.replace(AUTO, router=router, best_share=0.5)


@every_choosing_policy
@given(asked=REQUESTS, least=st.floats(0, 1), demand_per_s=st.sampled_from([0.5, 50.0]))
def test_no_light_picture_passes_below_min_quality(policy, asked, least, demand_per_s):
    asked = msgspec.structs.replace(asked, model="auto", min_quality=least)
    load = under(demand_per_s)
    if asked.quality == "low":
        with pytest.raises(InvalidParameter, match="min_quality"):
            policy.route(asked, MODELS, load)
        return
    route = policy.route(asked, MODELS, load)
    assert models_of(route)[-1] == LARGE
    assert all(gate.threshold >= least and not gate.keeps_deadline for gate in route.gates)


@every_choosing_policy
def test_a_promise_about_a_model_that_no_gate_looks_at_is_refused(policy):
    with pytest.raises(InvalidParameter, match="min_quality"):
        policy.route(asking(model=LARGE, min_quality=0.5), MODELS, under(1.0))


@every_choosing_policy
@pytest.mark.parametrize(
    "fields",
    [{"uses_cascade": False}, {"steps": 3}, {"width": 128}, {"negative_prompt": "blur"}, {"guidance_scale": 7.5}],
    ids=str,
)
def test_what_no_gate_was_trained_for_goes_to_the_heavy_model(policy, fields):
    route = policy.route(plain(**fields), MODELS, under(1.0))
    assert models_of(route) == [LARGE]
    assert route.levels[0].steps == fields.get("steps", MODELS[LARGE].steps)


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_adapters_choose_the_model_that_has_them(model):
    adapters = AdapterDirectory()
    adapters.know([AdapterSpec(name="style", kind="lora", model=model, weights_bytes=1, ranks=(4,))])
    load = FleetLoad(now=20.0, workers=under(1.0).workers, cascades={AUTO.name: AUTO}, adapters=adapters)
    asked = plain(loras=(LoraUse(name="style", scale=1.0),))
    assert models_of(LoadCascade().route(asked, MODELS, load)) == [model]


def test_a_request_without_a_model_is_for_a_cascade_only_if_that_takes_such_requests():
    shy = msgspec.structs.replace(AUTO, takes_unnamed=False)
    asked = plain(model=None, quality="low")
    assert LoadCascade().route(asked, MODELS, with_cascade(AUTO)).cascade == AUTO.name
    assert LoadCascade().route(asked, MODELS, with_cascade(shy)).cascade is None


@pytest.mark.parametrize("policy", [LoadCascade(), RouterOnly()], ids=lambda policy: policy.name)
def test_a_router_sends_hard_prompts_to_the_heavy_model_at_once(policy):
    load = with_cascade(routing(threshold=0.5))
    hard, easy = (policy.route(plain(prompt=prompt), MODELS, load) for prompt in (HARD, EASY))
    assert (models_of(hard), hard.reason) == ([LARGE], "prompt")
    assert hard.hardness > 0.9
    assert models_of(easy)[0] == SMALL


def test_a_router_sends_nothing_where_the_load_leaves_no_room():
    load = with_cascade(routing(threshold=0.5), under(256.0))
    route = LoadCascade().route(plain(prompt=HARD), MODELS, load)
    assert models_of(route) == [SMALL]


def test_a_cascade_without_a_gate_scores_nothing():
    bare = msgspec.structs.replace(AUTO, gate=None)
    route = LoadCascade().route(plain(), MODELS, with_cascade(bare))
    assert (len(route.levels), route.reason) == (1, "random")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_a_steady_share_turns_upwards_at_most_once_in_its_pause_and_never_exceeds_the_load_for_long(allowed):
    steady, step_s = SteadyShare(), 0.5
    shares = [steady.settle(share, number * step_s) for number, share in enumerate(allowed)]
    rises = [number for number in range(1, len(shares)) if shares[number] > shares[number - 1]]
    assert all((later - sooner) * step_s >= RISE_S for sooner, later in pairwise(rises))
    assert all(share <= now + 0.05 + 1e-9 for share, now in zip(shares, allowed, strict=True))


def test_a_share_follows_a_load_that_stays_away():
    steady = SteadyShare()
    assert [steady.settle(0.9, 0.0), steady.settle(0.4, 1.0), steady.settle(0.42, 2.0)] == [0.9, 0.4, 0.4]
    assert steady.settle(0.9, 3.0) == 0.4
    assert steady.settle(0.8, 3.0 + RISE_S) == 0.8


def test_a_heavy_model_that_does_not_paint_the_light_ones_size_is_unlike_it():
    small = msgspec.structs.replace(MODELS[LARGE], max_side=MODELS[SMALL].width - 1)
    assert unlike(AUTO, MODELS) is None
    assert unlike(AUTO, {SMALL: MODELS[SMALL]}) is None
    assert "does not paint" in unlike(AUTO, MODELS | {LARGE: small})
