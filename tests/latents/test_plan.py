import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.makers import a_level
from latents.makers import an_entry
from safelight.core.level import Route
from safelight.latents.plan import ReusePlan, started, step_at
from safelight.latents.predictor import LEVEL_PREDICTORS, FixedThresholds, Neighbour, StartChoice, StartQuery

NOISES = tuple(1 - step / 20 for step in range(20))
LEVEL = a_level(steps=20)


def a_query(similarity):
    neighbour = Neighbour(prompt="a", similarity=similarity, noises=(0.9, 0.5))
    return StartQuery(prompt="b", neighbour=neighbour, model="shapes-large", noises=NOISES)


@given(noise=st.floats(0, 1), captured=st.lists(st.floats(0.01, 1), min_size=1, max_size=5, unique=True))
def test_a_start_skips_only_steps_above_its_level_and_uses_an_estimate_that_is_no_coarser(noise, captured):
    noises = tuple(sorted(captured, reverse=True))
    entry = an_entry(noises=noises, latents_ids=tuple(map(str, noises)))
    level = started(LEVEL, entry, StartChoice(noise=noise), NOISES)
    first_step = step_at(NOISES, max(noise, noises[-1]))
    if first_step == 0:
        assert level is None
    else:
        assert level.first_step == first_step < LEVEL.steps
        assert float(level.start.id) <= max(noise, noises[-1]) + 1e-6 or float(level.start.id) == noises[-1]


def test_the_full_run_and_an_entry_without_estimates_give_no_start():
    assert started(LEVEL, an_entry(), StartChoice(), NOISES) is None
    assert started(LEVEL, an_entry(noises=(), latents_ids=()), StartChoice(noise=0.5), NOISES) is None


def test_a_plan_changes_only_the_level_that_it_was_made_for():
    plan = ReusePlan(level=LEVEL, served=msgspec.structs.replace(LEVEL, first_step=5))
    assert plan.applied(Route(levels=(LEVEL,))).levels[0].first_step == 5
    other = Route(levels=(a_level(steps=30),))
    assert plan.applied(other) is other


@given(first=st.floats(-1, 1), second=st.floats(-1, 1))
def test_more_similar_neighbours_never_start_from_more_noise(first, second):
    less, more = sorted((first, second))
    for predictor in LEVEL_PREDICTORS:
        high, low = (1.0 if (each := predictor.choose(a_query(s)).noise) is None else each for s in (less, more))
        assert low <= high


def test_the_published_thresholds_are_kept_as_noise_levels():
    choose = FixedThresholds().choose
    assert [choose(a_query(each)).noise for each in (0.96, 0.92, 0.5)] == [0.835, 0.906, None]
