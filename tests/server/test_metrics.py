"""Metrics of HTTP and of the process, and what clients cannot do to them."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes.live_server import LiveServer, eventually, web
from safelight.core.version import __version__

ROUTE = "/v1/images/generations"
MAX_BODY_BYTES = 1000


@pytest.fixture(scope="module")
def server():
    with LiveServer(api_key="k", max_body_bytes=MAX_BODY_BYTES) as server:
        yield server


def ask(server, path, method="POST", *, key="k", **options):
    return web.request(method, server.url + path, headers={"authorization": f"Bearer {key}"}, **options)


def samples(server):
    text = ask(server, "/metrics", "GET").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def refusals(server, reason):
    return samples(server).get(("safelight_refusal_seconds_count", ("reason", reason)), 0)


@pytest.mark.parametrize(
    ("reason", "request_"),
    [
        ("body_too_large", {"path": ROUTE, "json": {"prompt": "x" * MAX_BODY_BYTES}}),
        ("invalid_api_key", {"path": ROUTE, "key": "wrong"}),
        ("model_not_found", {"path": ROUTE, "json": {"prompt": "x", "model": "no-such-model"}}),
        ("deadline_unmeetable", {"path": ROUTE, "json": {"prompt": "x", "deadline_s": 1e-6}}),
        ("not_found", {"path": "/nothing", "method": "GET"}),
        ("method_not_allowed", {"path": ROUTE, "method": "PUT"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_refusal_is_measured_by_its_reason(server, reason, request_):
    before = refusals(server, reason)
    assert ask(server, **request_).json()["error"]["code"] == reason
    assert refusals(server, reason) == before + 1


def test_what_is_served_is_no_refusal(server):
    def count():
        return sum(value for name, value in samples(server).items() if name[0] == "safelight_refusal_seconds_count")

    before = count()
    assert ask(server, ROUTE, json={"prompt": "x"}).status_code == 200
    assert count() == before


def test_probes_of_a_server_that_is_not_ready_are_no_refusals():
    with LiveServer(worker_argv=("sleep", "60"), is_awaited=False) as server:
        assert web.get(f"{server.url}/health/ready").status_code == 503
        assert web.post(server.url + ROUTE, json={"prompt": "x"}).status_code == 503
        assert refusals(server, "not_ready") == 1
        assert samples(server)["safelight_ready",] == 0


def test_clients_cannot_make_up_values_of_labels(server):
    marked = "made-up-name"
    ask(server, f"/{marked}", "GET")
    ask(server, f"/v1/models/{marked}", "GET")
    ask(server, f"/v1/queue/{marked}/cancel")
    ask(server, ROUTE, json={"prompt": "x", "model": marked, "loras": [{"name": marked}]})
    ask(server, ROUTE, json={"prompt": "x", "loras": [{"name": marked}], marked: 1, "sampler": marked})
    ask(server, ROUTE, "POST", key=marked, json={"prompt": "x", "user": marked})
    assert marked not in json.dumps(list(samples(server)))


def test_answers_are_counted_by_route_and_status(server):
    name = ("safelight_http_requests_total", ("route", "/v1/models/{model}"), ("status", "200"))
    before = samples(server).get(name, 0)
    ask(server, "/v1/models/null-large", "GET")
    assert samples(server)[name] == before + 1


def test_the_lag_of_the_event_loop_is_measured(server):
    eventually(lambda: samples(server)["safelight_event_loop_lag_seconds_count",] > 0)


@pytest.mark.parametrize(
    "name",
    [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "safelight_workers_resident_memory_bytes",
    ],
)
def test_the_process_is_measured(server, name):
    assert samples(server)[name,] > 0


def test_the_version_is_told(server):
    assert __version__ in [
        dict(name[1:]).get("version") for name in samples(server) if name[0] == "safelight_build_info"
    ]


def test_the_served_models_are_told(server):
    names = {dict(name[1:])["model"] for name in samples(server) if name[0] == "safelight_model_info"}
    assert names == {"null-large", "null-small"}


def test_a_ready_server_is_shown_as_such(server):
    assert samples(server)["safelight_ready",] == 1


def test_a_request_line_has_the_code_of_its_refusal(server):
    ask(server, "/nothing", "GET")
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert [line["code"] for line in lines if line.get("path") == "/nothing"][-1] == "not_found"
