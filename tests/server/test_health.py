"""Liveness, readiness, models, metrics, request ids."""

import json
import re
import sys

import pytest

from fakes.live_server import PATIENCE_S, LiveServer, web
from safelight.traces.reading import open_trace

SLEEPER = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.fixture(scope="module")
def loading():
    """A server whose worker never gets ready."""
    with LiveServer(worker_argv=SLEEPER, is_awaited=False) as server:
        yield server


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_server_with_a_worker_is_ready(http, path):
    assert http.get(path).json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_server_without_a_worker_is_not_ready(loading, path):
    answer = web.get(loading.url + path)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_a_server_without_a_worker_is_alive(loading):
    assert web.get(f"{loading.url}/health/live").json() == {"status": "alive"}


def test_a_server_without_a_worker_sends_clients_away_for_a_while(loading):
    answer = web.post(f"{loading.url}/v1/images/generations", json={"prompt": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("given", ["abc-123", "a" * 128])
def test_a_valid_request_id_is_echoed(http, given):
    assert http.get("/health/live", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["a" * 129, "a b", '"', ""])
def test_an_invalid_request_id_is_replaced(http, given):
    answer = http.get("/health/live", headers={"x-request-id": given})
    assert re.fullmatch(r"req_[0-9a-f]{24}", answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing", "/v1/images/generations"])
def test_every_answer_has_a_request_id(http, path):
    assert http.get(path).headers["x-request-id"]


@pytest.mark.parametrize(
    "name",
    [
        "safelight_queue_depth",
        "safelight_running",
        "safelight_workers_ready",
        "safelight_worker_restarts_total",
        'safelight_pictures_total{model="null-large",status="finished"}',
        'safelight_queue_wait_seconds_bucket{le="0.1",model="null-large"}',
        'safelight_picture_seconds_count{model="null-large"}',
        'safelight_step_seconds_sum{model="null-large"}',
        'safelight_batch_rows_bucket{le="2.0",model="null-large"}',
    ],
)
def test_metrics_tell(http, name):
    http.post("/v1/images/generations", json={"prompt": "x"})
    assert f"\n{name} " in http.get("/metrics").text


def test_metrics_count_refusals_by_reason(loading):
    web.post(f"{loading.url}/v1/images/generations", json={"prompt": "x"})
    assert 'safelight_rejections_total{reason="not_ready"}' in web.get(f"{loading.url}/metrics").text


def test_the_log_is_json_lines(quick, http):
    http.get("/nothing")
    assert all("event" in json.loads(line) for line in quick.log.splitlines())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Open the outcome log of a server that has painted one picture."""
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"
    with LiveServer(outcomes=path) as server:
        body = {"prompt": "a red circle", "seed": 3, "num_inference_steps": 5}
        web.post(f"{server.url}/v1/images/generations", json=body)
    return path


def test_the_outcome_log_is_a_canonical_trace(outcomes):
    (row,) = open_trace(outcomes).frame.collect().to_dicts()
    known = {name: row[name] for name in ("origin", "status", "base_model", "prompt", "seed", "steps", "loras")}
    assert known == {
        "origin": "served",
        "status": "finished",
        "base_model": "null-large",
        "prompt": "a red circle",
        "seed": 3,
        "steps": 5,
        "loras": [],
    }


def test_the_outcome_log_tells_the_time_of_day(outcomes):
    (arrival_s,) = open_trace(outcomes).frame.collect()["arrival_s"]
    assert abs(arrival_s - outcomes.stat().st_mtime) < PATIENCE_S
