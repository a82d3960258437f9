"""Workers that hang instead of dying: no work is lost, doubled, or sent to them."""

import json
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.live_server import LiveServer, eventually, null_worker_argv, web
from safelight.control.liveness import LivenessLimits

ROUTE = "/v1/images/generations"
QUICK = LivenessLimits(beat_s=0.05, suspected_s=0.5, hung_s=1.5, tick_s=1.5, start_silence_s=3.0, start_stalled_s=2.0)
"""Small enough for a test, and large enough for a busy machine."""

PATIENT = LivenessLimits(beat_s=0.05, suspected_s=0.5, hung_s=60.0, tick_s=60.0)
"""A worker that is silent is suspected soon, and never killed."""


def ready_members(server):
    return [member for member in server.state.service.pool.members if member.ready]


def readiness(server):
    return web.get(f"{server.url}/health/ready").status_code


def paint(server, prompt="x"):
    return web.post(server.url + ROUTE, json={"prompt": prompt}, timeout=60)


def suspected(server):
    return server.state.service.controller.suspected_count


def stop_one(server):
    worker = ready_members(server)[0]
    os.kill(worker.pid, signal.SIGSTOP)
    return worker


@pytest.fixture(scope="module")
def stopped_for_good():
    """One of two workers was stopped while 20 pictures were being painted: the server, the worker, the answers."""
    with LiveServer(step_s=0.02, workers=2, liveness=QUICK) as server:
        with ThreadPoolExecutor(20) as clients:
            answers = [clients.submit(paint, server) for _ in range(20)]
            eventually(lambda: server.waiting_and_running == 20)
            worker = stop_one(server)
        eventually(lambda: server.state.service.pool.ready_count == 2)
        yield server, worker, [answer.result() for answer in answers]


def test_all_pictures_arrive_when_a_worker_is_stopped(stopped_for_good):
    _, _, answers = stopped_for_good
    assert [answer.status_code for answer in answers] == [200] * 20
    assert any(answer.json()["safelight"]["retries"] == 1 for answer in answers)


def test_the_stopped_worker_is_gone_and_has_a_successor(stopped_for_good):
    server, worker, _ = stopped_for_good
    assert not Path(f"/proc/{worker.pid}").exists()
    assert worker.name.replace(".1", ".2") in [member.name for member in ready_members(server)]


def test_suspicion_and_its_end_are_in_the_log_and_the_metrics(stopped_for_good):
    server, worker, _ = stopped_for_good
    for event in ("worker suspected", "worker hung", "worker lost"):
        assert f'"worker":"{worker.name}"' in next(line for line in server.log.splitlines() if event in line)
    metrics = web.get(f"{server.url}/metrics").text
    assert "\nsafelight_workers_hung_total 1.0\n" in metrics
    assert '\nsafelight_workers_lost_total{reason="hung"} 1.0\n' in metrics
    assert "\nsafelight_workers_suspected 0.0\n" in metrics


def test_a_server_whose_only_worker_is_silent_is_not_ready_and_refuses():
    with LiveServer(liveness=PATIENT) as server:
        worker = stop_one(server)
        eventually(lambda: readiness(server) == 503)
        answer = paint(server)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert "responds" in answer.json()["error"]["message"]
        (entry,) = web.get(f"{server.url}/v1/queue").json()["workers"]
        assert entry["state"] == "suspected"
        os.kill(worker.pid, signal.SIGCONT)
        eventually(lambda: readiness(server) == 200)
        assert paint(server).status_code == 200
        assert "worker responds again" in server.log


def test_a_worker_that_is_stopped_for_a_while_loses_and_doubles_nothing():
    with LiveServer(step_s=0.02, liveness=PATIENT) as server, ThreadPoolExecutor(10) as clients:
        answers = [clients.submit(paint, server, f"prompt {number}") for number in range(10)]
        eventually(lambda: server.state.service.controller.running_count == 10)
        worker = stop_one(server)
        eventually(lambda: suspected(server))
        os.kill(worker.pid, signal.SIGCONT)
        bodies = [answer.result().json() for answer in answers]
        ends = Counter(line for line in server.log.splitlines() if "picture finished" in line)
        assert len(ends) == 10
        assert {body["safelight"]["retries"] for body in bodies} == {0}
        assert ready_members(server)[0].pid == worker.pid


def test_a_silent_worker_gets_no_new_work():
    with LiveServer(workers=2, liveness=PATIENT) as server:
        worker = stop_one(server)
        eventually(lambda: suspected(server))
        assert [paint(server).status_code for _ in range(6)] == [200] * 6
        finished = [json.loads(line) for line in server.log.splitlines() if "picture finished" in line]
        assert worker.name not in {line["worker"] for line in finished}
        os.kill(worker.pid, signal.SIGCONT)
        eventually(lambda: not suspected(server))


def test_a_worker_that_is_stopped_while_it_starts_is_replaced():
    with LiveServer(worker_argv=null_worker_argv(load_s=1.0), is_awaited=False, liveness=QUICK) as server:
        first = eventually(lambda: server.state.service.pool.members)[0]
        os.kill(first.pid, signal.SIGSTOP)
        eventually(lambda: readiness(server) == 200)
        assert ready_members(server)[0].pid != first.pid
        assert "worker hung" in server.log


def test_a_start_that_computes_nothing_for_too_long_is_tried_again(tmp_path):
    hurdle = tmp_path / "hurdle"
    hurdle.touch()
    argv = null_worker_argv(blocking_file=hurdle, block="start")
    with LiveServer(worker_argv=argv, is_awaited=False, liveness=QUICK) as server:
        eventually(lambda: "worker hung" in server.log)
        assert not server.state.service.collapse.done()
        hurdle.unlink()
        eventually(lambda: readiness(server) == 200)


@pytest.mark.parametrize("block", ["step", "finish"])
def test_an_effect_that_never_ends_costs_no_picture(tmp_path, block):
    hurdle = tmp_path / "hurdle"
    with LiveServer(worker_argv=null_worker_argv(blocking_file=hurdle, block=block), liveness=QUICK) as server:
        first = ready_members(server)[0]
        hurdle.touch()
        with ThreadPoolExecutor(1) as clients:
            answer = clients.submit(paint, server)
            eventually(lambda: suspected(server))
            assert readiness(server) == 503
            eventually(lambda: "worker hung" in server.log)
            hurdle.unlink()
            assert answer.result().json()["safelight"]["retries"] == 1
        assert ready_members(server)[0].pid != first.pid
