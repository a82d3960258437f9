"""What is too much is refused before work."""

import socket

import httpx2
import openai
import pytest

from fakes.live_server import LiveServer, eventually, null_worker_argv, web

ROUTE = "/v1/images/generations"
JSON = {"content-type": "application/json"}
LIMIT = 10_000


@pytest.fixture(scope="module")
def small():
    """A server that reads 10 kB within half a second, paints few pictures at once and lets one wait."""
    argv = (*null_worker_argv(step_s=0.02), "--max-denoiser-rows", "2")
    with LiveServer(worker_argv=argv, max_body_bytes=LIMIT, body_read_s=0.5, max_waiting=1) as server:
        yield server


def chunks(count):
    for _ in range(count):
        yield b" " * 1000


def test_a_huge_body_is_refused_with_the_limit(small):
    answer = web.post(small.url + ROUTE, content=b" " * (LIMIT + 1), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert "10,000" in answer.json()["error"]["message"]


def test_a_huge_body_of_unknown_length_is_refused_while_it_comes(small):
    assert web.post(small.url + ROUTE, content=chunks(1000), headers=JSON).status_code == 413


def test_a_body_just_within_the_limit_is_read(small):
    body = b'{"prompt": "x", "num_inference_steps": 1}'.ljust(LIMIT)
    assert web.post(small.url + ROUTE, content=body, headers=JSON).status_code == 200


def test_a_body_that_does_not_come_is_given_up(small):
    address = (httpx2.URL(small.url).host, httpx2.URL(small.url).port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_get_with_a_huge_body_is_refused(small):
    assert web.request("GET", f"{small.url}/v1/models", content=b" " * (LIMIT + 1)).status_code == 413


def test_a_full_queue_is_a_rate_limit_with_whole_seconds_to_wait(small):
    with openai.OpenAI(base_url=f"{small.url}/v1", api_key="EMPTY", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt="x", n=10)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_of_n_pictures_all_or_none_are_taken(small):
    assert web.post(small.url + ROUTE, json={"prompt": "x", "n": 10}).status_code == 429
    eventually(lambda: not small.waiting_and_running)


def test_a_deadline_that_cannot_be_met_is_refused_with_what_it_would_take(slow_http):
    answer = slow_http.post(ROUTE, json={"prompt": "x", "deadline_s": 0.001, "num_inference_steps": 200})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "deadline_unmeetable")
    assert int(answer.headers["retry-after"]) >= 1
