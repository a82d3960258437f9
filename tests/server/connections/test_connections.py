"""Clients that are silent, slow, rude or gone neither keep others out nor hold work."""

import logging
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from fakes.live_server import PATIENCE_S, eventually, web
from fakes.raw_http import LIVE, code_of, connect, exchange, head, read_to_end, status_of

SERVED = Path(__file__).parents[2] / "fakes" / "served.py"
MOST = 24
ROUTE = "/v1/images/generations"


def post(body, *, length=None):
    """A request for a picture whose connection is kept."""
    announced = len(body) if length is None else length
    lines = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {announced}"
    return f"{lines}\r\n\r\n{body}".encode()


PICTURE = post('{"prompt": "x", "num_inference_steps": 200}')
SHORT = post('{"prompt": "x", "num_inference_steps": 1}')
DOCUMENT = b"GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n"


both_loops = pytest.mark.parametrize("guarded", ["asyncio", "auto"], indirect=True)


def metric(server, line):
    """The value of a line of /metrics."""
    lines = web.get(f"{server.url}/metrics").text.splitlines()
    return next(float(text.rpartition(" ")[2]) for text in lines if text.rpartition(" ")[0] == line)


def cut(server, reason):
    return metric(server, f'safelight_connections_cut_total{{reason="{reason}"}}')


def is_alive(server):
    return status_of(exchange(server.url, head())) == 200


@pytest.fixture
def crowd():
    """Opens connections that stay open until the end of the test."""
    with ExitStack() as stack:

        def opened(server, count, *pieces):
            connections = [stack.enter_context(connect(server.url)) for _ in range(count)]
            for connection in connections:
                for piece in pieces:
                    connection.sendall(piece)
            return connections

        yield opened


@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_silent_connections_keep_nobody_out(patient, crowd, begin):
    for _ in range(4):
        crowd(patient, MOST, *([begin] if begin else []))
        assert is_alive(patient)
    assert web.post(patient.url + ROUTE, json={"prompt": "x", "num_inference_steps": 1}).status_code == 200


def test_kept_connections_make_room_too(patient, crowd):
    connections = crowd(patient, MOST, LIVE)
    assert all(status_of(connection.recv(1000)) == 200 for connection in connections)
    assert is_alive(patient)


def test_the_metrics_count_what_was_closed(patient, crowd):
    before = cut(patient, "evicted_silent")
    crowd(patient, 2 * MOST)
    eventually(lambda: cut(patient, "evicted_silent") > before)
    assert metric(patient, "safelight_connections_limit") == MOST
    assert 1 <= metric(patient, "safelight_connections_open") <= MOST


def test_when_all_are_busy_only_health_is_answered(patient, crowd):
    crowd(patient, MOST - 3, PICTURE)
    eventually(lambda: patient.waiting_and_running >= MOST - 3)
    answer = exchange(patient.url, head(path="/v1/models"))
    assert (status_of(answer), code_of(answer)) == (503, "too_many_connections")
    assert b"retry-after: 1\r\n" in answer.lower()
    assert is_alive(patient)
    assert status_of(exchange(patient.url, head(path="/health/ready"))) == 200


def test_half_bodies_keep_nobody_out(patient, crowd):
    crowd(patient, MOST - 1, post("{", length=100))
    assert is_alive(patient)
    eventually(lambda: status_of(exchange(patient.url, head(path="/v1/models"))) == 200)


def test_a_header_that_does_not_end_is_given_up_with_408(guarded):
    answer = exchange(guarded.url, b"GET / HTTP/1.1\r\n")
    assert (status_of(answer), code_of(answer)) == (408, "header_too_slow")


def test_a_header_that_comes_byte_by_byte_is_given_up(guarded):
    before = cut(guarded, "header_timeout")
    with connect(guarded.url) as connection:
        connection.sendall(b"GET /")
        eventually(lambda: connection.sendall(b"a") or cut(guarded, "header_timeout") > before)


def test_a_connection_without_a_byte_is_closed(guarded):
    before = cut(guarded, "header_timeout")
    assert exchange(guarded.url) == b""
    eventually(lambda: cut(guarded, "header_timeout") > before)


def test_a_connection_without_a_further_request_is_closed(guarded):
    before = cut(guarded, "idle_timeout")
    assert status_of(exchange(guarded.url, LIVE)) == 200
    assert cut(guarded, "idle_timeout") > before


def test_a_further_header_that_does_not_end_is_given_up(guarded):
    with connect(guarded.url) as connection:
        connection.sendall(LIVE)
        assert connection.recv(1000)
        connection.sendall(b"GET /")
        assert b"HTTP/1.1 408 " in read_to_end(connection)


def test_a_body_that_drips_after_its_answer_is_cut(guarded):
    before = cut(guarded, "header_timeout")
    with connect(guarded.url) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        eventually(lambda: connection.sendall(b"a") or cut(guarded, "header_timeout") > before)


def test_a_long_wait_for_a_picture_is_not_idle(guarded):
    answer = exchange(guarded.url, post('{"prompt": "x", "num_inference_steps": 40}'))
    assert status_of(answer) == 200


@both_loops
def test_a_client_that_reads_nothing_is_cut(guarded):
    before = cut(guarded, "write_timeout")
    with connect(guarded.url, receive_bytes=4096) as connection:
        connection.sendall(DOCUMENT * 1000)
        eventually(lambda: cut(guarded, "write_timeout") > before)


@both_loops
def test_a_client_that_reads_slowly_is_not(guarded):
    before = cut(guarded, "write_timeout")
    with connect(guarded.url, receive_bytes=4096) as connection:
        connection.sendall(DOCUMENT * 1000)
        for _ in range(14):
            time.sleep(0.1)
            assert connection.recv(100_000)
        assert connection.recv(1)
    assert cut(guarded, "write_timeout") == before


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 1_000_000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000, 431),
        (head(*["A: b"] * 500), 431),
        (head(*["A: b"] * 10_000), 431),
        (head(method="POST").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n1;") + b"a" * 1_000_000, 400),
    ],
    ids=["target", "header", "headers", "more-headers", "extension"],
)
def test_what_is_too_long_is_refused_with_an_answer(guarded, request_bytes, status):
    assert status_of(exchange(guarded.url, request_bytes)) == status


def test_a_body_that_is_too_large_gets_its_answer_while_it_comes(guarded):
    begin = head("Content-Length: 100000000", method="POST", path=ROUTE)
    assert status_of(exchange(guarded.url, begin, *[b"x" * 100_000] * 100)) == 413


@both_loops
def test_pipelined_requests_are_answered_in_order(guarded):
    paths = ["/health/live", "/nothing", "/v1/models", "/health/ready"] * 10
    with connect(guarded.url) as connection:
        connection.sendall(b"".join(LIVE.replace(b"/health/live", path.encode()) for path in paths) + head())
        answer = read_to_end(connection)
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200, 200] * 10 + [200]


def test_pipelined_pictures_are_answered(guarded):
    with connect(guarded.url) as connection:
        connection.sendall(SHORT * 5 + head())
        assert read_to_end(connection).count(b"HTTP/1.1 200 ") == 6


@both_loops
def test_a_pipelining_client_that_leaves_costs_no_work_and_no_traceback(guarded, caplog):
    caplog.set_level(logging.INFO)
    before = guarded.state.service.controller
    with connect(guarded.url) as connection:
        connection.sendall(PICTURE * 3)
        eventually(lambda: guarded.waiting_and_running)
    eventually(lambda: not before.waiting_count + before.running_count)
    assert is_alive(guarded)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "Traceback" not in guarded.log


def test_an_offer_to_change_the_protocol_is_not_taken(guarded):
    lines = ("Connection: Upgrade", "Upgrade: h2c")
    answer = exchange(guarded.url, head(*lines).replace(b"Connection: close\r\n", b""), LIVE)
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_a_body_is_asked_for_only_when_it_is_wanted(guarded):
    expecting = head("Expect: 100-continue", "Content-Length: 100000000", method="POST", path=ROUTE)
    assert status_of(exchange(guarded.url, expecting)) == 413
    body = b'{"prompt": "x", "num_inference_steps": 1}'
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    begin = head("Expect: 100-continue", *lines, method="POST", path=ROUTE)
    with connect(guarded.url) as connection:
        connection.sendall(begin)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert status_of(read_to_end(connection)) == 200


def test_resets_leave_nothing_behind(patient):
    for _ in range(200):
        connection = connect(patient.url)
        connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close with a reset
        connection.sendall(PICTURE[:50])
        connection.close()
    eventually(lambda: metric(patient, "safelight_connections_open") <= 1)


def test_few_open_files_and_many_silent_clients_cost_neither_health_nor_workers():
    argv = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", sys.executable, str(SERVED), "0.02", "5"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process, ExitStack() as stack:
        url = process.stdout.readline().strip()
        for _ in range(300):
            stack.enter_context(connect(url))
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        assert status_of(exchange(url, head())) == 200
        eventually(lambda: b"safelight_worker_restarts_total 1.0" in exchange(url, head(path="/metrics")))
        eventually(lambda: b"safelight_workers_ready 1.0" in exchange(url, head(path="/metrics")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_a_server_with_silent_clients_drains_and_ends():
    with (
        subprocess.Popen([sys.executable, str(SERVED), "0.02", "5"], stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        url = process.stdout.readline().strip()
        for begin in [b"", b"GET", post("{", length=9), LIVE] * 20:
            stack.enter_context(connect(url)).sendall(begin)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
