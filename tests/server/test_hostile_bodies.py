"""Hostile bodies are refused with a short message, leave nothing behind, and hold nobody up."""

import json
import select
import socket
import sys
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from fakes.hostile_bodies import EDITS, GENERATIONS, HOSTILE, JSON
from fakes.live_server import LiveServer, eventually, web
from safelight.server.errors import HttpError
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.validation_errors import refusal

SIZE = 600_000
MEGABYTE = 1 << 20
FORM_TYPE = "multipart/form-data; boundary=bound"
LONGEST_MESSAGE = 1_500


@pytest.fixture(scope="module")
def small():
    """A server with room for four bodies of a megabyte."""
    with LiveServer(body_budget_bytes=5 * MEGABYTE, max_body_bytes=MEGABYTE) as server:
        yield server


def nothing_is_held(server):
    eventually(lambda: not server.state.bodies.budget.held_bytes)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_body_is_refused_with_a_short_message(quick, http, kind):
    hostile = HOSTILE[kind]
    answer = http.post(hostile.path, content=hostile.content(SIZE), headers=dict(hostile.headers))
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert len(answer.text) <= LONGEST_MESSAGE
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    nothing_is_held(quick)


def test_after_all_that_pictures_still_come(http):
    assert http.post(GENERATIONS, json={"prompt": "x"}).status_code == 200


def test_three_errors_are_told_and_the_others_counted(http):
    body = {"prompt": "x"} | {f"field_{number}": 1 for number in range(50)}
    message = http.post(GENERATIONS, json=body).json()["error"]["message"]
    assert message.count("There is no field") == 3
    assert "There are 47 more." in message


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (GenerationRequest, {"prompt": "x", "loras": [{"name": 1, "x": 2}] * 9_000}),
        (GenerationRequest, {"prompt": "x", "controls": [7] * 9_000}),
        (EditRequest, {"prompt": "x", "image": [7] * 9_000}),
    ],
    ids=["loras", "controls", "image"],
)
def test_a_list_gives_no_more_errors_than_it_may_have_items(kind, body):
    with pytest.raises(ValueError, match="validation error") as caught:
        kind.model_validate(body)
    assert caught.value.error_count() <= 20


def test_telling_of_an_unknown_field_costs_the_same_however_long_it_is():
    def work(length):
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event in {"call", "c_call"}

        with pytest.raises(ValueError, match="Extra inputs") as caught:
            GenerationRequest.model_validate({"prompt": "x", "y" * length: 1})
        sys.setprofile(count)
        try:
            error = refusal(caught.value, tuple(GenerationRequest.model_fields))
        finally:
            sys.setprofile(None)
        assert isinstance(error, HttpError)
        return calls

    assert work(1_000_000) <= 2 * work(1_000) + 1_000  # a garbage collection may add some


def test_a_body_in_an_encoding_is_refused_by_name(http):
    answer = http.post(GENERATIONS, content=b"x", headers=JSON | {"content-encoding": "br"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_content_encoding")


def test_the_encoding_called_identity_is_none(http):
    body = json.dumps({"prompt": "x"}).encode()
    assert http.post(GENERATIONS, content=body, headers=JSON | {"content-encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS", "PUT"])
def test_a_body_is_bounded_whatever_the_method(http, method):
    answer = http.request(method, "/v1/models", content=HOSTILE["floats"].content(SIZE), headers=JSON)
    assert answer.status_code == 400


@pytest.mark.parametrize("types", [("application/json", FORM_TYPE), (FORM_TYPE, "application/json")])
@pytest.mark.parametrize("path", [GENERATIONS, EDITS, "/v1/chat/completions", "/v1/adapters"])
def test_two_content_types_are_no_way_around_the_scan(http, path, types):
    headers = [("content-type", kind) for kind in types]
    answer = http.post(path, content=HOSTILE["nesting"].content(SIZE), headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["code"] in {"json_too_complex", "invalid_form", "invalid_value"}


def test_a_body_of_many_chunks_is_one_body(http):
    body = json.dumps({"prompt": "x", "num_inference_steps": 1}).encode().ljust(3_000)
    pieces = (body[place : place + 1] for place in range(len(body)))
    assert http.post(GENERATIONS, content=pieces, headers=JSON).status_code == 200


def test_a_mark_of_the_byte_order_is_ignored(http):
    body = "\ufeff" + json.dumps({"prompt": "x"})
    assert http.post(GENERATIONS, content=body.encode(), headers=JSON).status_code == 200


@pytest.mark.parametrize("path", ["/v1/adapters/" + "x" * 1_500, "/nothing/" + "x" * 1_500])
def test_a_long_path_is_not_repeated(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    assert len(answer.text) < 500


def test_bodies_that_were_refused_are_counted_by_reason(quick, http):
    http.post(GENERATIONS, content=b"[" * 100, headers=JSON)
    text = http.get("/metrics").text
    assert 'safelight_bodies_refused_total{reason="json_too_complex"}' in text
    assert "safelight_body_bytes_held 0.0" in text


@contextmanager
def half_bodies(server, count, *, announced=MEGABYTE, sent=MEGABYTE - 1000):
    """Keep connections open that have sent most of their bodies."""
    address = (httpx2.URL(server.url).host, httpx2.URL(server.url).port)
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(count)]
        for connection in connections:
            head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n"
            connection.sendall(head.encode() + b" " * sent)
        yield connections


def readable_of(connections):
    return select.select(connections, [], [], 0)[0]


def test_half_bodies_hold_no_more_than_the_budget_and_small_bodies_get_through(small):
    with half_bodies(small, 8) as connections:
        eventually(lambda: small.state.bodies.budget.held_bytes > 3.9 * MEGABYTE)
        answered = eventually(lambda: readable if len(readable := readable_of(connections)) >= 4 else None)
        assert [connection.recv(12) for connection in answered] == [b"HTTP/1.1 503"] * 4
        assert small.state.bodies.budget.held_bytes <= 5 * MEGABYTE
        assert web.post(small.url + GENERATIONS, json={"prompt": "x"}).status_code == 200
        refused = web.post(small.url + GENERATIONS, content=b" " * MEGABYTE, headers=JSON)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
    nothing_is_held(small)


def test_a_client_that_leaves_within_its_body_leaves_nothing_behind(small):
    with half_bodies(small, 2):
        eventually(lambda: small.state.bodies.budget.held_bytes > 1.9 * MEGABYTE)
    nothing_is_held(small)


def test_a_body_that_pauses_is_given_up():
    with LiveServer(body_idle_s=0.2) as server:
        with half_bodies(server, 1, sent=10) as (connection,):
            assert connection.recv(12).endswith(b"408")
        nothing_is_held(server)


def test_the_bodies_of_waiting_requests_are_not_held(slow, slow_http):
    picture = json.loads(HOSTILE["decompression bombs"].content(0))["image"][0]
    with slow_http.stream("POST", EDITS, json={"prompt": "x", "image": picture, "stream": True}) as answer:
        assert answer.status_code == 200
        assert slow.state.bodies.budget.held_bytes == 0
