"""Workers die; clients do not notice."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from fakes.live_server import LiveServer, eventually, web
from safelight.core.frames import frame
from safelight.core.work import Dropped, Failed, Started
from safelight.local.process import FrameSplitter

ROUTE = "/v1/images/generations"
PICTURES = 20


def kill_one(server):
    """Kill the first worker; returns its name."""
    worker = next(member for member in server.state.service.pool.members if member.ready)
    os.kill(worker.pid, signal.SIGKILL)
    return worker.name


def paint(server):
    return web.post(server.url + ROUTE, json={"prompt": "x"}, timeout=60)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "one of two"])
def mishap(request):
    """A worker was killed while 20 pictures were being painted: the server, the worker's name, and the answers."""
    with LiveServer(step_s=0.02, workers=request.param) as server:
        with ThreadPoolExecutor(PICTURES) as clients:
            answers = [clients.submit(paint, server) for _ in range(PICTURES)]
            eventually(lambda: server.waiting_and_running == PICTURES)
            victim = kill_one(server)
        eventually(lambda: server.state.service.pool.ready_count == request.param)
        yield server, victim, [answer.result() for answer in answers]


def test_all_pictures_arrive_when_a_worker_is_killed(mishap):
    _, _, answers = mishap
    assert [answer.status_code for answer in answers] == [200] * PICTURES


def test_provenance_tells_of_the_second_try(mishap):
    _, _, answers = mishap
    assert {answer.json()["safelight"]["retries"] for answer in answers} <= {0, 1}
    assert any(answer.json()["safelight"]["retries"] == 1 for answer in answers)


def test_the_log_tells_of_the_lost_worker_and_the_second_try(mishap):
    server, victim, _ = mishap
    assert f'"worker":"{victim}"' in next(line for line in server.log.splitlines() if "worker lost" in line)
    assert "picture runs again" in server.log


def test_the_successor_has_another_name(mishap):
    server, victim, _ = mishap
    names = [member.name for member in server.state.service.pool.members]
    assert victim not in names
    assert victim.replace(".1", ".2") in names


def test_restarts_are_counted(mishap):
    server, _, _ = mishap
    assert "safelight_worker_restarts_total 1.0" in web.get(f"{server.url}/metrics").text


def test_a_picture_that_kills_every_worker_is_given_up_and_not_to_be_retried():
    with LiveServer(step_s=0.02) as server, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(web.post, server.url + ROUTE, json={"prompt": "x", "num_inference_steps": 200})
        killed = set()
        while not answer.done():
            for member in server.state.service.pool.members:
                if member.ready and member.name not in killed and server.state.service.controller.running_count:
                    os.kill(member.pid, signal.SIGKILL)
                    killed.add(member.name)
        assert (answer.result().status_code, answer.result().json()["error"]["code"]) == (500, "worker_lost")
        assert answer.result().headers["x-should-retry"] == "false"


@pytest.mark.parametrize("piece_bytes", [1, 3, 1000])
def test_frames_are_found_however_the_stream_is_cut(piece_bytes):
    events = [Started(request_id="a"), Failed(request_id="b", message="x" * 50), Dropped(request_id="c")]
    stream = b"".join(map(frame, events))
    splitter = FrameSplitter()
    pieces = [stream[start : start + piece_bytes] for start in range(0, len(stream), piece_bytes)]
    assert [event for piece in pieces for event in splitter.feed(piece)] == events


def test_nonsense_instead_of_a_frame_is_an_error():
    with pytest.raises(msgspec.DecodeError):
        FrameSplitter().feed(b"\x00\x00\x00\x01?")
