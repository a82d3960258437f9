"""Traces of requests, as a collector receives them from a live server."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest

from fakes.live_server import LiveServer, eventually, web
from fakes.otlp_collector import OtlpCollector
from safelight.control.levels.constraints import level_on
from safelight.control.policies import Policies
from safelight.core.level import Gate, Route
from safelight.core.version import __version__

ROUTE = "/v1/images/generations"
TRACE_ID, CLIENT_SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{CLIENT_SPAN_ID}-01"
PROMPT = "a secret prompt"
STAGES = ("null-small", "null-large")
SERVER_KIND = 2
TOLERANCE_S = 0.05


@dataclass(frozen=True, kw_only=True)
class TwoStages:
    """Each picture is painted by both models, since the null engine gives no score."""

    name: ClassVar[str] = "two-stages"

    def route(self, request, models, load):
        return Route(levels=tuple(level_on(models[name], request) for name in STAGES), gates=(Gate(threshold=0.5),))


class Traced:
    """A server, its collector, and what the collector got of one request."""

    def __init__(self, collector, server, answer):
        self.collector = collector
        self.answer = answer
        self.request_id = answer.headers["x-request-id"]
        self.lines = [json.loads(line) for line in server.log.splitlines() if self.request_id in line]

    @property
    def roots(self):
        roots = [span for span in self.collector.spans if span.kind == SERVER_KIND]
        return [span for span in roots if span.attributes["safelight.http_request.id"] == self.request_id]

    @property
    def root(self):
        (root,) = self.roots
        return root

    @property
    def spans(self):
        return [span for span in self.collector.spans if span.trace_id == self.root.trace_id]

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def only(self, name):
        (span,) = self.named(name)
        return span


class TracedServer:
    """A live server with a collector."""

    def __init__(self, collector, server):
        self.collector = collector
        self.server = server

    def flush(self):
        self.server.state._spans._export.provider.force_flush()
        return True

    def send(self, *, headers=None, path=ROUTE, method="POST", body=None, is_traced=True):
        json_body = {"prompt": PROMPT} | (body or {}) if method == "POST" else None
        answer = web.request(method, self.server.url + path, headers=headers or {}, json=json_body)
        traced = Traced(self.collector, self.server, answer)
        if is_traced:
            eventually(lambda: self.flush() and traced.roots)
            eventually(lambda: traced.request_id in self.server.log)
            return Traced(self.collector, self.server, answer)
        return traced


@contextmanager
def traced_server(**settings):
    with OtlpCollector() as collector, LiveServer(otlp_traces_url=collector.url, **settings) as server:
        yield TracedServer(collector, server)


@pytest.fixture(scope="module")
def server():
    with traced_server(step_s=0.001) as server:
        yield server


@pytest.fixture(scope="module")
def cascade():
    """One picture of two stages, asked for by a client that traces."""
    headers = {"traceparent": TRACEPARENT, "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}
    with traced_server(step_s=0.001, policies=Policies(level=TwoStages())) as server:
        yield server.send(headers=headers, body={"seed": 7, "deadline_s": 60})


def test_the_request_is_below_the_clients_span(cascade):
    assert cascade.answer.status_code == 200
    assert (cascade.root.trace_id, cascade.root.parent_id) == (TRACE_ID, CLIENT_SPAN_ID)
    assert cascade.root.trace_state == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


def test_all_spans_are_of_the_clients_trace(cascade):
    assert {span.trace_id for span in cascade.spans} == {TRACE_ID}


def test_the_request_has_the_conventional_attributes(cascade):
    assert cascade.root.name == f"POST {ROUTE}"
    assert cascade.root.attributes == {
        "http.request.method": "POST",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "url.path": ROUTE,
        "url.scheme": "http",
        "safelight.http_request.id": cascade.answer.headers["x-request-id"],
    }


def test_a_picture_and_its_encoding_are_below_the_request(cascade):
    assert [span.name for span in cascade.collector.below(cascade.root)] == ["picture", "encode"]


def test_each_stage_of_the_picture_is_a_span_in_order(cascade):
    stages = cascade.collector.below(cascade.only("picture"))
    assert [span.name for span in stages] == [f"generate_content {model}" for model in STAGES]
    assert [span.attributes["gen_ai.request.model"] for span in stages] == list(STAGES)
    assert [span.attributes["safelight.stage"] for span in stages] == [0, 1]


def test_each_stage_has_its_wait_and_its_computation(cascade):
    for stage in cascade.collector.below(cascade.only("picture")):
        queue, compute = cascade.collector.below(stage)
        assert (queue.name, compute.name) == ("queue", "compute")
        assert queue.start_s == stage.start_s
        assert queue.end_s == compute.start_s
        assert compute.end_s == stage.end_s
        assert compute.end_s > compute.start_s


def test_the_stages_fill_the_picture_without_gaps(cascade):
    picture = cascade.only("picture")
    first, second = cascade.collector.below(picture)
    assert (first.start_s, first.end_s) == (picture.start_s, second.start_s)
    assert second.end_s == pytest.approx(picture.end_s, abs=1e-6)


def test_spans_lie_within_their_parents(cascade):
    by_id = {span.span_id: span for span in cascade.spans}
    for span in cascade.spans:
        if (parent := by_id.get(span.parent_id)) is not None:
            assert parent.start_s - TOLERANCE_S <= span.start_s <= span.end_s <= parent.end_s + TOLERANCE_S


def test_a_stage_says_how_it_was_painted(cascade):
    stage = cascade.only("generate_content null-large")
    known = {name: stage.attributes[name] for name in ("gen_ai.output.type", "gen_ai.request.seed", "safelight.steps")}
    assert known == {"gen_ai.output.type": "image", "gen_ai.request.seed": 7, "safelight.steps": 25}


def test_the_prompt_is_in_no_span(cascade):
    assert PROMPT not in repr(cascade.spans)


def test_the_resource_is_this_version(cascade):
    resource = cascade.collector.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("safelight", __version__)


def test_the_log_line_of_the_request_names_its_trace(cascade):
    assert [line["trace_id"] for line in cascade.lines] == [TRACE_ID]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense"},
        {"traceparent": f"ff-{TRACE_ID}-{CLIENT_SPAN_ID}-01"},
        {"traceparent": f"00-{'0' * 32}-{CLIENT_SPAN_ID}-01"},
        {"traceparent": f"{TRACEPARENT},{TRACEPARENT}"},
        [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
    ],
    ids=["none", "nonsense", "version", "zero", "joined", "repeated"],
)
def test_without_a_valid_parent_the_request_begins_a_trace(headers, server):
    traced = server.send(headers=headers, body={"num_inference_steps": 1})
    assert traced.root.parent_id == ""
    assert traced.root.trace_id != TRACE_ID


def test_a_client_that_does_not_sample_is_not_traced(server):
    other_trace = TRACE_ID[::-1]
    traced = server.send(headers={"traceparent": f"00-{other_trace}-{CLIENT_SPAN_ID}-00"}, is_traced=False)
    assert traced.answer.status_code == 200
    server.send(body={"num_inference_steps": 1})
    assert other_trace not in {span.trace_id for span in server.collector.spans}


def test_a_refusal_is_an_error_with_its_reason(server):
    traced = server.send(body={"deadline_s": 1e-6})
    picture = traced.only("picture")
    for span in (traced.root, picture):
        assert (span.is_error, span.message, span.attributes["error.type"]) == (True, *["deadline_unmeetable"] * 2)
    assert picture.parent_id == traced.root.span_id


def test_an_invalid_request_is_an_error_without_its_values(server):
    traced = server.send(body={"sampler": PROMPT})
    assert (traced.root.is_error, traced.root.attributes["http.response.status_code"]) == (True, 400)
    assert PROMPT not in repr(traced.spans)


def test_what_is_no_route_is_no_span_name(server):
    traced = server.send(path="/made-up", method="GET")
    assert (traced.root.name, "http.route" in traced.root.attributes) == ("GET", False)


def test_a_cancelled_picture_is_an_error_with_its_reason(server):
    url = server.server.url
    body = {"prompt": "x", "stream": True, "num_inference_steps": 200}
    with web.stream("POST", url + ROUTE, json=body) as answer:
        picture_id = answer.headers["x-safelight-picture-ids"]
        web.post(f"{url}/v1/queue/{picture_id}/cancel")
        answer.read()

    def found():
        server.flush()
        return [span for span in server.collector.spans if span.attributes.get("safelight.picture.id") == picture_id]

    (picture,) = eventually(found)
    assert (picture.is_error, picture.attributes["safelight.picture.status"]) == (True, "cancelled")
    assert picture.message == "withdrawn"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/v1/queue"])
def test_probes_are_not_traced(path, server):
    server.send(path=path, method="GET", is_traced=False)
    server.send(body={"num_inference_steps": 1})
    assert path not in {span.attributes.get("url.path") for span in server.collector.spans}


def test_each_picture_of_a_request_is_a_span(server):
    traced = server.send(body={"n": 3, "num_inference_steps": 1})
    assert len(traced.named("picture")) == len(traced.named("encode")) == 3


def test_without_a_collector_there_is_no_metric_of_spans(quick):
    assert "safelight_spans" not in web.get(f"{quick.url}/metrics").text
