"""Reuse over HTTP: exact results, approximate starts, tenants, and what may not be seen."""

import pytest

from fakes.live_server import LiveServer, eventually, web
from fakes.tenants import People, Site
from safelight.latents.limits import ReuseLimits
from safelight.service.reuse.settings import ReuseSettings

ROUTE = "/v1/images/generations"
PROMPT = "a small red circle above a large blue square on a white background"
NEAR = f"a picture of {PROMPT}"
GREEN = PROMPT.replace("red", "green")


class Painting:
    """What a server answered."""

    def __init__(self, answer):
        assert answer.status_code == 200, answer.text
        document = answer.json()
        self.made = document["safelight"]
        self.content = document["data"][0]["b64_json"]
        self.reused = self.made["images"][0].get("reused")
        self.tier = self.reused and self.reused["tier"]


def paint(server, prompt=PROMPT, **body):
    body = {"prompt": prompt, "reuse": "approximate"} | body
    return Painting(web.post(server.url + ROUTE, json=body))


def settle(server, least):
    """Wait until so many pictures are kept: their latents come after the answer."""
    eventually(lambda: len(server.state.service.reuse.store.directory) >= least)


@pytest.fixture
def server():
    with LiveServer(reuse=ReuseSettings(mode="private")) as running:
        yield running


def test_the_same_request_gets_the_same_bytes_and_runs_no_step(server):
    first = paint(server, seed=5)
    settle(server, 1)
    second = paint(server, seed=5)
    assert (first.tier, second.tier) == (None, "exact")
    assert second.content == first.content
    assert (second.made["steps_run"], second.made["seed"], second.made["compute_s"]) == (0, 5, 0)
    assert second.reused["steps_saved"] == 25


def test_the_same_request_without_a_seed_gets_the_earlier_seed(server):
    first = paint(server)
    settle(server, 1)
    assert paint(server).made["seed"] == first.made["seed"]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"seed": None},
        {"num_inference_steps": 20},
        {"negative_prompt": "blue"},
        {"guidance_scale": 3.1},
        {"sampler": "ddim"},
        {"size": "32x64"},
        {"model": "null-small"},
        {"prompt": PROMPT + "."},
    ],
    ids=str,
)
def test_a_request_that_differs_in_anything_gets_a_picture_of_its_own(server, other):
    paint(server, seed=5, reuse="exact")
    settle(server, 1)
    assert paint(server, **{"seed": 5, "reuse": "exact"} | other).tier is None


def test_a_similar_prompt_starts_from_the_earlier_estimate(server):
    paint(server)
    settle(server, 1)
    near = paint(server, NEAR)
    assert near.tier == "approximate"
    assert near.made["steps_run"] + near.reused["steps_saved"] == near.made["steps"]
    assert 0.9 < near.reused["similarity"] < 1
    assert near.reused["noise"] <= 0.835


def test_a_prompt_that_differs_in_one_colour_is_painted_in_full(server):
    paint(server)
    settle(server, 1)
    assert paint(server, GREEN).tier is None
    assert 'safelight_reuse_lookups_total{result="vetoed"}' in web.get(f"{server.url}/metrics").text


def test_a_picture_that_was_started_from_another_one_is_not_kept(server):
    paint(server)
    settle(server, 1)
    paint(server, NEAR)
    paint(server, PROMPT, seed=9)
    settle(server, 2)
    assert {entry.prompt for entry in server.state.service.reuse.store.directory} == {PROMPT}


@pytest.mark.parametrize("body", [{"seed": 3}, {"n": 2}, {"reuse": "exact"}], ids=str)
def test_seeds_siblings_and_exact_requests_pass_the_start_over(server, body):
    paint(server)
    settle(server, 1)
    assert paint(server, NEAR, **body).tier is None


def test_a_request_that_always_allows_it_starts_with_a_seed_of_its_own(server):
    paint(server)
    settle(server, 1)
    assert paint(server, NEAR, seed=3, reuse="always").tier == "approximate"


def test_a_request_that_does_not_ask_neither_takes_nor_leaves_anything(server):
    paint(server, seed=5, reuse="none")
    paint(server, seed=5)
    settle(server, 1)
    assert paint(server, seed=5, reuse="none").tier is None
    assert len(server.state.service.reuse.store.directory) == 1


def test_what_is_kept_and_saved_is_shown_and_dropped_by_prompt(server):
    for prompt in (PROMPT, GREEN):
        paint(server, prompt)
    settle(server, 2)
    assert paint(server, PROMPT).tier == "exact"
    view = web.get(f"{server.url}/v1/reuse").json()
    assert (view["mode"], view["entries"], view["models"]) == ("private", 2, {"null-large": 2})
    assert view["savings"]["lookups"]["exact"] == 1
    dropped = web.post(f"{server.url}/v1/reuse/purge", json={"prompt": GREEN}).json()
    assert dropped == {"dropped": 1}
    assert paint(server, PROMPT).tier == "exact"


@pytest.mark.parametrize(
    ("body", "field"), [({"reuse": "exact"}, "reuse"), ({"reuse": "none", "reuse_scope": "shared"}, "reuse_scope")]
)
def test_a_server_without_reuse_refuses_it_by_name(body, field):
    with LiveServer() as plain:
        answer = web.post(plain.url + ROUTE, json={"prompt": PROMPT} | body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert "--reuse" in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    people = People(tmp_path_factory.mktemp("keys"))
    limits = ReuseLimits(tenants=2)
    with LiveServer(keys=people.file, reuse=ReuseSettings(mode="shared", limits=limits)) as running:
        yield Site(running, people)


def tier(site, who, **body):
    return Painting(
        site.paint(who, **{"prompt": PROMPT, "reuse": "approximate", "num_inference_steps": 25} | body)
    ).tier


def test_no_tenant_meets_anothers_pictures_unless_both_share(site):
    assert tier(site, "alice", seed=1) is None
    settle(site.server, 1)
    # Prompt stealing and poisoning: neither the same request nor a similar one finds anything.
    assert tier(site, "bob", seed=1) is None
    assert tier(site, "bob", prompt=NEAR, seed=2) is None
    assert tier(site, "bob", seed=1, reuse_scope="shared") == "exact"  # his own, of before
    settle(site.server, 3)
    assert tier(site, "bob", prompt=GREEN, seed=1, reuse_scope="shared") is None
    settle(site.server, 4)
    assert tier(site, "alice", prompt=GREEN, seed=1) is None
    settle(site.server, 5)
    site.request("alice", "POST", "/v1/reuse/purge", json={"prompt": GREEN})
    assert tier(site, "alice", prompt=GREEN, seed=1, reuse_scope="shared") == "exact"
    # A tenant drops its own pictures only, and a third one has no part of the store.
    assert site.request("bob", "POST", "/v1/reuse/purge", json={"tenant": "alice"}).status_code == 404
    assert site.get("alice", "/v1/reuse").json()["entries"] == 1
    assert tier(site, "operator", seed=1) is None
    assert tier(site, "operator", seed=1) is None
    assert site.request("operator", "POST", "/v1/reuse/purge", json={"tenant": "alice"}).json() == {"dropped": 1}
    assert site.get("operator", "/v1/reuse").json()["entries"] == 3
