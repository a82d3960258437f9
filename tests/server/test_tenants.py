"""Several tenants on one server: each sees, cancels and repeats its own, and an administrator everything."""

import base64
import io
from contextlib import ExitStack

import pytest
from PIL import Image

from fakes.app_routes import all_routes, example
from fakes.live_server import LiveServer, eventually, null_worker_argv
from fakes.tenants import ADAPTERS, QUEUE, ROUTE, People, Site
from safelight.api.client import Client
from safelight.server.middleware.auth import PUBLIC_PATHS
from safelight.server.middleware.roles import METRICS_ROUTES, USER_ROUTES

STEP_S = 0.02


def _png_url():
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


BLACK_PNG = _png_url()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    people = People(tmp_path_factory.mktemp("keys"))
    folder = tmp_path_factory.mktemp("adapters")
    (folder / "outline.safetensors").touch()
    (folder / "broken.safetensors").touch()
    outcomes = folder / "outcomes.jsonl"
    with LiveServer(
        step_s=STEP_S, keys=people.file, keys_check_s=0.02, adapters=(folder,), outcomes=outcomes
    ) as server:
        yield Site(server, people)


# Routes by role


def refused(site, who, status):
    """The routes whose answer to `who` has this status."""
    return {
        (method, path)
        for path, method in all_routes(site.server.app)
        if path not in PUBLIC_PATHS and site.request(who, method, example(path)).status_code == status
    }


def every_route(site):
    return {(method, path) for path, method in all_routes(site.server.app) if path not in PUBLIC_PATHS}


def test_without_a_key_every_route_is_closed(site):
    assert refused(site, None, 401) == every_route(site)


@pytest.mark.parametrize(("who", "allowed"), [("alice", USER_ROUTES), ("prometheus", METRICS_ROUTES)])
def test_a_role_has_its_routes_and_no_others(who, allowed, site):
    assert refused(site, who, 403) == every_route(site) - allowed


def test_every_route_of_a_role_exists(site):
    assert every_route(site) >= USER_ROUTES | METRICS_ROUTES


def test_an_administrator_may_use_every_route(site):
    assert refused(site, "operator", 401) | refused(site, "operator", 403) == set()


def test_users_can_neither_change_adapters_nor_read_metrics(site):
    assert {("POST", ADAPTERS), ("DELETE", f"{ADAPTERS}/{{name}}"), ("GET", "/metrics")} <= refused(site, "alice", 403)


def test_a_new_route_is_for_administrators_until_it_is_listed(tmp_path):
    people = People(tmp_path)
    server = LiveServer(keys=people.file)
    server.app.get("/v1/new")(lambda: "secret")
    with server:
        site = Site(server, people)
        statuses = {who: site.get(who, "/v1/new").status_code for who in people.keys}
    assert statuses == {"alice": 403, "bob": 403, "prometheus": 403, "operator": 200}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/v1/queue", 405)])
def test_what_nobody_may_do_is_not_blamed_on_the_role(method, path, status, site):
    assert site.request("alice", method, path).status_code == status


def test_a_forbidden_route_is_explained_and_audited(site):
    answer = site.request("alice", "DELETE", f"{ADAPTERS}/outline")
    assert answer.json()["error"]["code"] == "role_not_allowed"
    assert "'user'" in answer.json()["error"]["message"]
    (line,) = [line for line in site.audits("use_route") if line["target"] == f"DELETE {ADAPTERS}/outline"][-1:]
    assert (line["tenant"], line["role"], line["result"]) == ("alice", "user", "role_not_allowed")


# The queue


def test_a_user_sees_its_own_pictures_in_full(site):
    with site.painting("alice") as (picture_id, _):
        entry = eventually(lambda: next((each for each in site.queue("alice")["requests"] if each["preview"]), None))
    assert (entry["id"], entry["prompt"], entry["tenant"]) == (picture_id, "a circle for alice", "alice")


def test_of_the_pictures_of_others_a_user_sees_the_number_only(site):
    with site.painting("alice") as (picture_id, _):
        answer = site.get("bob", QUEUE)
        view = answer.json()
    assert (view["requests"], view["running"] + view["waiting"]) == ([], 1)
    assert picture_id not in answer.text
    assert "alice" not in answer.text


def test_an_administrator_sees_all_pictures_with_their_tenants(site):
    with site.painting("alice"), site.painting("bob"):
        entries = site.queue("operator")["requests"]
    assert {(entry["tenant"], entry["prompt"]) for entry in entries} == {
        ("alice", "a circle for alice"),
        ("bob", "a circle for bob"),
    }


def test_a_users_place_and_time_count_the_pictures_of_others(tmp_path):
    people = People(tmp_path)
    argv = (*null_worker_argv(step_s=STEP_S), "--max-denoiser-rows", "1")
    with LiveServer(worker_argv=argv, keys=people.file) as server:
        site = Site(server, people)
        with site.painting("alice", n=10), site.painting("bob"):
            (own,) = site.queue("bob")["requests"]
            all_of_them = site.queue("operator")
    (same,) = [entry for entry in all_of_them["requests"] if entry["tenant"] == "bob"]
    assert own["state"] == "waiting"
    assert own["position"] == same["position"] == all_of_them["waiting"] > 1
    assert own["expected_s"] == pytest.approx(same["expected_s"], rel=0.5)


# Cancelling


def test_a_user_cancels_its_own_picture(site):
    with site.painting("alice") as (picture_id, answers):
        assert site.cancel("alice", picture_id).status_code == 200
        eventually(lambda: answers)
    assert answers[0].status_code == 410


def test_an_administrator_cancels_any_picture(site):
    with site.painting("alice") as (picture_id, answers):
        assert site.cancel("operator", picture_id).status_code == 200
        eventually(lambda: answers)
    assert answers[0].json()["error"]["code"] == "cancelled"


def test_a_foreign_picture_is_told_apart_from_an_unknown_one_by_nothing(site):
    with site.painting("alice") as (picture_id, answers):
        foreign = site.cancel("bob", picture_id)
        unknown = site.cancel("bob", "img_" + "0" * 24)
        assert not answers
        assert site.queue("alice")["requests"][0]["id"] == picture_id
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text.replace(picture_id, "") == unknown.text.replace("img_" + "0" * 24, "")
    assert set(foreign.headers) == set(unknown.headers)


def test_every_cancellation_is_audited_with_who_and_what(site):
    with site.painting("alice") as (picture_id, _):
        site.cancel("bob", picture_id)
        site.cancel("operator", picture_id)
        site.cancel("operator", picture_id)
    lines = [line for line in site.audits("cancel") if line["target"] == picture_id]
    assert [(line["tenant"], line["role"], line["owner"], line["result"]) for line in lines[:3]] == [
        ("bob", "user", "alice", "foreign"),
        ("operator", "admin", "alice", "cancelled"),
        ("operator", "admin", None, "unknown"),
    ]
    assert all(line["peer"] == "127.0.0.1" and line["request_id"] and line["key"] for line in lines)


def test_no_key_is_ever_logged(site):
    site.get("wrong-but-secret", QUEUE)
    assert not [key for key in (*site.people.keys.values(), "wrong-but-secret") if key in site.server.log]


# Idempotency keys and kept pictures


def test_idempotency_keys_of_tenants_are_apart(site):
    first, other = site.paint("alice", key="one", seed=1), site.paint("bob", key="one", seed=2)
    assert (first.status_code, other.status_code) == (200, 200)
    assert "idempotent-replayed" not in other.headers
    assert site.paint("bob", key="one", seed=2).content == other.content


def test_another_key_of_the_tenant_repeats_its_request(site):
    first = site.paint("alice", key="rotated")
    new = site.people.add("alice")
    eventually(lambda: site.get(new, "/v1/models").status_code == 200)
    again = site.request(
        new,
        "POST",
        ROUTE,
        json={"prompt": "a circle for alice", "num_inference_steps": 1},
        headers={"Idempotency-Key": "rotated"},
    )
    assert (again.headers["idempotent-replayed"], again.content) == ("true", first.content)


def test_a_picture_by_url_is_for_its_tenant_and_administrators(site):
    url = site.paint("alice", response_format="url").json()["data"][0]["url"].removeprefix(site.server.url)
    assert {who: site.get(who, url).status_code for who in ("alice", "operator", "bob", None)} == {
        "alice": 200,
        "operator": 200,
        "bob": 404,
        None: 401,
    }
    foreign, unknown = site.get("bob", url), site.get("bob", "/v1/images/img_0/content")
    assert foreign.text.replace(url.split("/")[3], "") == unknown.text.replace("img_0", "")


def test_a_flood_of_one_tenant_takes_neither_pictures_nor_responses_of_another(tmp_path):
    people = People(tmp_path)
    with LiveServer(keys=people.file, max_stored=4) as server:
        site = Site(server, people)
        kept = site.paint("alice", key="kept", response_format="url")
        for number in range(8):
            site.paint("bob", key=f"flood-{number}", response_format="url")
        path = kept.json()["data"][0]["url"].removeprefix(server.url)
        assert site.get("alice", path).status_code == 200
        assert site.paint("alice", key="kept", response_format="url").headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ROUTE, {"stream": True}),
        ("/v1/images/edits", {"image": BLACK_PNG}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ],
    ids=["stream", "edits", "chat"],
)
def test_every_way_to_ask_for_a_picture_belongs_to_the_tenant(path, body, site):
    with site.painting("alice", path=path, **body):
        assert {entry["tenant"] for entry in site.queue("operator")["requests"]} == {"alice"}


def test_the_tenant_comes_from_the_key_and_not_from_the_body(site):
    with site.painting("alice", user="bob"):
        assert {entry["tenant"] for entry in site.queue("operator")["requests"]} == {"alice"}


def test_outcomes_and_logs_name_the_tenant(site):
    site.paint("bob", seed=77)
    rows = eventually(lambda: [row for row in site.server.outcomes(1) if row["seed"] == 77])
    assert rows[-1]["tenant"] == "bob"
    assert site.logged("picture finished")[-1]["tenant"] == "bob"
    request_id = "of-bob"
    site.request("bob", "GET", "/v1/models", headers={"x-request-id": request_id})
    line = eventually(lambda: next((each for each in site.logged("request") if each["request_id"] == request_id), None))
    assert line["tenant"] == "bob"


# Adapters


def test_users_see_adapters_with_the_number_of_their_own_pictures(site):
    with site.painting("alice", loras=[{"name": "outline", "scale": 1.0}]):
        pictures = {
            who: site.get(who, f"{ADAPTERS}/outline").json()["pictures"] for who in ("alice", "bob", "operator")
        }
    assert pictures == {"alice": 1, "bob": 0, "operator": 1}


def test_every_change_of_adapters_is_audited(site):
    site.request("operator", "DELETE", f"{ADAPTERS}/outline")
    site.request("operator", "DELETE", f"{ADAPTERS}/outline")
    site.request("operator", "POST", ADAPTERS, json={"name": "outline"})
    site.request("operator", "POST", ADAPTERS, json={"name": "broken"})
    removed, added = site.audits("remove_adapter")[-2:], site.audits("add_adapter")[-2:]
    assert [(line["target"], line["result"]) for line in removed] == [
        ("outline", "done"),
        ("outline", "adapter_not_found"),
    ]
    assert [(line["target"], line["result"]) for line in added] == [("outline", "done"), ("broken", "adapter_refused")]
    assert {line["tenant"] for line in removed + added} == {"operator"}


# Clients, the queue's share, and the schema


def test_safelights_own_client_gets_in_with_a_key(site):
    with Client(site.server.url, api_key=site.people.keys["bob"]) as client:
        assert client.generate("x", steps=1)


def test_a_browser_gets_in_with_the_key_as_password(site):
    password = base64.b64encode(b"anyone:" + site.people.keys["alice"].encode()).decode()
    for path in ("/", "/page.js", QUEUE):
        answer = site.request(None, "GET", path, headers={"Authorization": f"Basic {password}"})
        assert answer.status_code == 200


def test_one_tenant_does_not_fill_the_queue(tmp_path):
    people = People(tmp_path)
    argv = (*null_worker_argv(step_s=STEP_S), "--max-denoiser-rows", "1")
    with LiveServer(worker_argv=argv, keys=people.file, max_waiting=4) as server, ExitStack() as stack:
        site = Site(server, people)
        answers = []
        while not answers:
            _, answers = stack.enter_context(site.painting("alice", guidance_scale=1))
        assert stack.enter_context(site.painting("bob"))[0] is not None
    error = answers[0].json()["error"]
    assert (answers[0].status_code, error["code"]) == (429, "tenant_queue_full")
    assert int(answers[0].headers["retry-after"]) > 0


def test_the_schema_says_that_a_key_is_needed_where_it_is(site):
    document = site.get("alice", "/openapi.json").json()
    assert document["security"] == [{"bearer": []}, {"basic": []}]
    assert document["paths"]["/health/live"]["get"]["security"] == []
