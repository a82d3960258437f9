"""What holds for traces that are made up after any other."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.shapes.caption import caption_of, parse
from safelight.traces.errors import BadArrivals, CannotSynthesize
from safelight.traces.schema import SCHEMA, conform
from safelight.traces.synthesis.additions import WORK, captions, join_deadlines, join_prompts, join_work
from safelight.traces.synthesis.assignment import assign_combinations
from safelight.traces.synthesis.katz_template import KatzTemplate
from safelight.traces.synthesis.lru_stack import NEAR, LruStack
from safelight.traces.synthesis.ordering import Depths, order_by_reuse
from safelight.traces.synthesis.recorded_template import NOT_ALIKE, recorded_templates
from safelight.traces.synthesis.rounding import apportion, draw_whole
from safelight.traces.synthesis.synthesize import SynthesisOptions, synthesize
from safelight.traces.synthesis.template import spread

SEEDS = st.integers(0, 2**32)


def generator(seed=1):
    return np.random.default_rng(seed)


def rows(table, *columns):
    """The multiset of some columns' rows."""
    return Counter(map(repr, table.select(columns).rows()))


@st.composite
def traces(draw):
    """A trace of a few services and instances, with few adapters, so that they come back."""
    names = st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=3)
    request = st.fixed_dictionaries(
        {
            "service": st.sampled_from(["A", "B", None]),
            "instance": st.sampled_from(["x", "y", None]),
            "controlnets": st.none() | names,
            "loras": st.none() | names,
            "steps": st.none() | st.integers(1, 50),
            "prompt": st.just("secret"),
        }
    )
    requests = draw(st.lists(request, min_size=2, max_size=40))
    times_s = sorted(draw(st.lists(st.integers(0, 3000), min_size=len(requests), max_size=len(requests), unique=True)))
    schema = {name: SCHEMA[name] for name in ("service", "instance", "steps", "prompt")}
    lists = {name: pl.List(pl.String) for name in ("controlnets", "loras")}
    frame = pl.DataFrame(requests, schema={**schema, **lists}).with_columns(
        arrival_s=pl.Series(times_s, dtype=pl.Float64)
    )
    return conform(frame.lazy()).collect()


@given(traces(), SEEDS)
def test_a_trace_like_another_has_the_same_requests_in_another_order(trace, seed):
    made_up = synthesize(recorded_templates(trace.lazy()), SynthesisOptions(), seed=seed)
    assert made_up.schema == SCHEMA
    assert rows(made_up, "service", "loras", "steps") == rows(trace, "service", "loras", "steps")
    assert rows(made_up, "service", "controlnets") == rows(trace, "service", "controlnets")


@given(traces(), SEEDS)
def test_each_instance_has_the_requests_of_one_instance(trace, seed):
    made_up = synthesize(recorded_templates(trace.lazy()), SynthesisOptions(), seed=seed)

    def assigned(table):
        groups = table.partition_by("service", "instance")
        return Counter((group["service"][0], frozenset(rows(group, "loras", "steps").items())) for group in groups)

    assert assigned(made_up) == assigned(trace)


@given(traces(), SEEDS)
def test_every_request_says_that_it_is_made_up_and_keeps_what_is_its_own(trace, seed):
    made_up = synthesize(recorded_templates(trace.lazy()), SynthesisOptions(), seed=seed)
    assert set(made_up["origin"]) == {"synthesized"}
    assert made_up["request_id"].n_unique() == len(trace)
    assert made_up["instance"].str.starts_with("synthesized-").all()
    others = [name for name in NOT_ALIKE if name not in {"request_id", "origin", "arrival_s", "instance"}]
    assert [name for name in others if made_up[name].null_count() < len(made_up)] == []
    assert made_up["arrival_s"].is_sorted()


@given(traces(), SEEDS, st.integers(1, 60), st.integers(1, 9), st.floats(0, 3))
def test_any_numbers_of_requests_and_instances_can_be_had(trace, seed, requests, instances, skew):
    one, *_ = recorded_templates(trace.lazy())
    options = SynthesisOptions(requests=instances + requests, instances=instances, skew=skew, bursts=3, diurnal=0.5)
    made_up = synthesize([one], options, seed=seed)
    assert len(made_up) == instances + requests
    assert made_up["instance"].n_unique() == instances
    assert made_up.equals(synthesize([one], options, seed=seed))


@pytest.mark.parametrize("service", ["A", "B"])
@pytest.mark.parametrize(("requests", "instances"), [(1, 1), (7, 7), (500, 1), (400, 165), (900, 400)])
def test_a_published_service_can_have_any_size(service, requests, instances):
    made_up = synthesize([KatzTemplate(service)], SynthesisOptions(requests=requests, instances=instances), seed=3)
    assert (len(made_up), made_up["instance"].n_unique()) == (requests, instances)


@pytest.mark.parametrize(("requests", "instances"), [(2, 2), (10_000, 8), (549_433, 467)])
def test_where_only_requests_are_wished_for_an_instance_keeps_as_many_as_it_had(requests, instances):
    made_up = synthesize([KatzTemplate("A"), KatzTemplate("B")], SynthesisOptions(requests=requests), seed=1)
    assert made_up["instance"].n_unique() == pytest.approx(instances, abs=1)


def test_the_seed_decides_and_nothing_else():
    options = SynthesisOptions(requests=300, instances=3)
    one, again, other = (synthesize([KatzTemplate("A")], options, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_adapters_come_back_as_soon_as_in_the_original():
    original = synthesize([KatzTemplate("B")], SynthesisOptions(requests=20_000, instances=16), seed=1)
    (template,) = recorded_templates(original.lazy())
    (again,) = recorded_templates(synthesize([template], SynthesisOptions(), seed=2).lazy())
    for kind in ("controlnets", "loras"):
        assert np.abs(np.cumsum(template.depths[kind] - again.depths[kind])).max() < 0.02


def test_the_rate_of_an_instance_stays_and_can_be_scaled():
    span_s = {}
    for scale in (1, 4):
        made_up = synthesize(
            [KatzTemplate("B")], SynthesisOptions(requests=6000, instances=10, rate_scale=scale), seed=1
        )
        span_s[scale] = made_up["arrival_s"][-1]
    assert 6000 / span_s[1] == pytest.approx(385_239 / (20 * 86_400) * 10 / 302, rel=0.05)
    assert span_s[1] / span_s[4] == pytest.approx(4, rel=0.001)


def test_skew_makes_the_popular_loras_more_popular():
    def top_share(skew):
        made_up = synthesize([KatzTemplate("A")], SynthesisOptions(requests=4000, instances=4, skew=skew), seed=1)
        counts = made_up["loras"].explode().struct.field("name").value_counts(sort=True)["count"]
        return counts.head(10).sum() / counts.sum()

    even, original, skewed = map(top_share, (0, 1, 1.5))
    assert even < 0.03
    assert 0.15 < original < 0.26
    assert skewed > 0.3


def test_bursts_and_days_make_arrivals_uneven():
    def dispersion(**options):
        made_up = synthesize([KatzTemplate("B")], SynthesisOptions(requests=20_000, instances=302, **options), seed=1)
        counts = made_up.group_by(pl.col("arrival_s") // 1800).len().sort("arrival_s")["len"][:-1]
        return counts.var() / counts.mean()

    assert dispersion() < 2 < dispersion(bursts=10)
    assert dispersion(diurnal=0.9) > 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"requests": 0}, "number of requests is 0"),
        ({"instances": -2}, "number of instances is -2"),
        ({"requests": 10**9}, "from 1 to 20,000,000"),
        ({"rate_scale": 0.0}, "must be a positive number"),
        ({"rate_scale": float("nan")}, "must be a positive number"),
        ({"skew": -1.0}, "between 0 and 10"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(settings, words):
    with pytest.raises(CannotSynthesize, match=words):
        SynthesisOptions(**settings)


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(CannotSynthesize, match="3 requests cannot be shared among 5 instances"):
        synthesize([KatzTemplate("A")], SynthesisOptions(requests=3, instances=5), seed=1)
    with pytest.raises(CannotSynthesize, match="2 services, so there must be at least as many instances, not 1"):
        synthesize([KatzTemplate("A"), KatzTemplate("B")], SynthesisOptions(instances=1), seed=1)
    with pytest.raises(BadArrivals, match="amplitude"):
        synthesize([KatzTemplate("A")], SynthesisOptions(requests=3, instances=1, diurnal=2), seed=1)


@pytest.mark.parametrize("times_s", [[], [5.0], [5.0, 5.0], [None, None]], ids=str)
def test_a_trace_without_a_span_of_time_cannot_be_had_another_like(times_s):
    trace = conform(pl.LazyFrame({"arrival_s": pl.Series(times_s, dtype=pl.Float64)}))
    with pytest.raises(CannotSynthesize, match="requests"):
        recorded_templates(trace)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.integers(0, 5000), st.integers(0, 3), SEEDS)
def test_whole_numbers_keep_totals_and_proportions(weights, total, least, seed):
    weights = np.array(weights, float)
    exact = weights * total / weights.sum()
    drawn = draw_whole(weights, total, generator(seed))
    assert drawn.sum() == total
    assert np.abs(drawn - exact).max() < 1 + 1e-6
    assert np.abs(apportion(weights, total) - exact).max() < 1 + 1e-6
    if total >= least * len(weights):
        shares = apportion(weights, total, least=least)
        assert shares.sum() == total
        assert shares.min() >= least


@given(st.integers(1, 500), st.integers(1, 500))
def test_some_instances_stand_for_all(available, wanted):
    places = spread(available, wanted)
    assert len(places) == wanted
    assert (np.diff(places) >= 0).all()
    assert places.min() >= 0
    assert places.max() < available
    if wanted == available:
        assert places.tolist() == list(range(available))


@given(SEEDS)
def test_instances_get_the_numbers_of_requests_and_adapters_that_they_should(seed):
    rng = generator(seed)
    combinations = [(number,) for number in range(30)] + [(30 + number, 60 + number) for number in range(30)]
    popularity = np.sort(rng.integers(1, 200, size=60))[::-1].copy()
    requests = apportion(rng.random(8) + 0.2, int(popularity.sum()))
    distinct = np.minimum(rng.integers(15, 40, size=8), requests)
    assigned = assign_combinations(combinations, popularity, requests=requests, distinct=distinct, rng=rng)
    assert [len(choices) for choices in assigned] == requests.tolist()
    for choices, wanted in zip(assigned, distinct.tolist(), strict=True):
        adapters = {adapter for choice in choices for adapter in combinations[choice]}
        assert wanted - 1 <= len(adapters) <= wanted
    assert (np.bincount(np.concatenate(assigned), minlength=60) > 0).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), SEEDS)
def test_ordering_keeps_every_request(choices, seed):
    combinations = [(), ("a",), ("b",), ("a", "b"), ("c", "d"), ("d",), (None, "a")]
    depths = Depths(np.full(NEAR + 1, 1 / (NEAR + 1)))
    ordered = order_by_reuse(np.array(choices), combinations, depths, generator(seed))
    assert Counter(ordered.tolist()) == Counter(choices)
    assert sum(depths.uses) == sum(len(combinations[choice]) for choice in choices)


@given(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=60))
def test_a_stack_counts_the_others_used_since(names):
    uses = [0] * (NEAR + 1)
    stack = LruStack(uses)
    expected = [0] * (NEAR + 1)
    for place, name in enumerate(names):
        before = names[:place]
        since = before[len(before) - before[::-1].index(name) :] if name in before else None
        expected[NEAR if since is None else min(NEAR, len(set(since)))] += 1
        stack.use(name)
    assert uses == expected


def table_of(count):
    return synthesize([KatzTemplate("A")], SynthesisOptions(requests=count, instances=1), seed=1)


def test_work_is_drawn_from_finished_requests_and_stays_together():
    source = conform(
        pl.LazyFrame(
            {
                "status": ["finished", "failed", None, "finished"],
                "steps": [10, 20, 30, 40],
                "duration_s": [1.0, 2.0, 3.0, None],
            }
        )
    )
    table = table_of(200)
    joined = join_work(table, source, generator())
    assert set(joined.select("steps", "duration_s").rows()) == {(10, 1.0), (30, 3.0)}
    assert joined.drop(WORK).equals(table.drop(WORK))
    with pytest.raises(CannotSynthesize, match="how long it took"):
        join_work(table, table.lazy(), generator())


def test_prompts_are_drawn_from_those_given():
    joined = join_prompts(table_of(100), ["one", "two"], generator())
    assert set(joined["prompt"]) == {"one", "two"}
    with pytest.raises(CannotSynthesize, match="no prompt"):
        join_prompts(table_of(1), [], generator())


def test_captions_are_in_the_grammar_of_the_shapes():
    drawn = captions(50, generator())
    assert drawn == captions(50, generator())
    assert [caption for caption in drawn if caption_of(parse(caption)) != caption] == []


def test_deadlines_are_seconds_or_multiples_of_durations():
    table = table_of(3)
    assert set(join_deadlines(table, seconds=30.0)["deadline_s"]) == {30.0}
    timed = table.with_columns(duration_s=pl.Series([1.0, 2.0, 4.0]))
    assert join_deadlines(timed, times=1.5)["deadline_s"].to_list() == [1.5, 3.0, 6.0]
    with pytest.raises(CannotSynthesize, match="--durations-from"):
        join_deadlines(table, times=2)
