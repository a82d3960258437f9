"""Made-up traces against the published statistics of the Katz trace, measured literally, at a fraction of the size."""

import csv

import pytest

from safelight.cli import main
from safelight.traces.synthesis import katz_template
from traces import literal
from traces.katz_figures import (
    CONTROLNET_USES,
    lru_curves,
    mean_off,
    off_pairs,
    off_popularity,
    off_sizes,
    off_slope,
)

SIZES = {"A": (55_000, 55), "B": (64_000, 50)}
KINDS = ("controlnets", "loras")


@pytest.fixture(scope="module", params=katz_template.SERVICES)
def service(request):
    return request.param


@pytest.fixture(scope="module")
def requests(service, tmp_path_factory):
    path = tmp_path_factory.mktemp("katz") / "trace.json"
    count, instances = SIZES[service]
    like = ["--like", f"katz-{service.lower()}", "--requests", str(count), "--instances", str(instances)]
    assert main(["trace", "synthesize", *like, "--seed", "1", "-o", str(path)]) == 0
    return literal.read(path)


def test_there_are_as_many_requests_and_instances_as_asked_for(requests, service):
    assert (len(requests), len(literal.by_instance(requests))) == SIZES[service]
    assert {request["scene_id"] for request in requests} == {service}


def test_times_are_whole_seconds_in_order(requests):
    times = [request["timestamp"] for request in requests]
    assert all(isinstance(time, int) for time in times)
    assert times == sorted(times)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_have_as_many_adapters_within_half_a_point(requests, service, kind):
    assert off_sizes(requests, service, kind) <= 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_are_as_popular_within_a_hundredth(requests, service, kind):
    assert off_popularity(requests, service, kind) <= 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_lru_caches_load_as_often_within_three_hundredths_on_average(requests, service, kind):
    assert mean_off(lru_curves(requests, service, kind)) <= 0.03


def test_distinct_loras_grow_with_requests_as_they_do_within_a_tenth(requests, service):
    assert abs(off_slope(requests, service)) <= 0.1


def test_controlnets_that_go_together_go_together_as_often(requests, service):
    assert off_pairs(requests, service) <= 0.005


def test_pairs_of_loras_come_back_as_pairs(requests):
    """As even depths tell: a LoRA that comes with another one comes with that one always."""
    partners = {}
    for request in requests:
        if len(request["loras"]) == 2:
            one, other = request["loras"]
            assert partners.setdefault(one, other) == other


def test_the_figures_in_the_package_add_up(service):
    facts = katz_template.published().services[service]
    total, uses = CONTROLNET_USES[service]
    found = [
        sum(count for names, count in facts.controlnets.combinations if rank + 1 in names) for rank in range(len(uses))
    ]
    assert found == pytest.approx(uses, abs=1)
    assert sum(found) + facts.controlnets.rest.requests == pytest.approx(total, abs=2)
    singles, pairs = facts.loras.requests
    assert singles + 2 * pairs == {"A": 313_285, "B": 431_238}[service]
    assert [sum(each) for each in zip(*facts.instances, strict=True)] == {
        "A": [164_194, 111_441],
        "B": [385_239, 91_590],
    }[service]


def test_the_figures_in_the_package_are_the_published_ones(published, service):
    facts = katz_template.published().services[service]
    instances = list(csv.reader(published(f"katz/instances_{service}.csv").read_text().splitlines()))[1:]
    assert sorted(facts.instances) == sorted((int(requests), int(loras)) for requests, loras in instances)
    curves = list(csv.DictReader(published("katz/loading_curves_lru.csv").read_text().splitlines()))
    for kind in ("controlnet", "lora"):
        loads = [int(row["loads"]) for row in curves if (row["service"], row["adapter"]) == (service, kind)]
        assert list(getattr(facts, f"{kind}s").lru_loads) == loads
    points = list(csv.DictReader(published("katz/popularity_cdf.csv").read_text().splitlines()))
    known = {
        (int(row["top_k"]), float(row["cumulative_pct"]))
        for row in points
        if (row["service"], row["adapter"]) == (service, "lora") and row["top_k"] != "0"
    }
    assert sorted(facts.loras.cumulative_percent) == sorted(known)
