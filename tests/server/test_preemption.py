"""A long picture of a real model makes way for an urgent one, and comes out as if it had never paused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from fakes.live_server import LiveServer, eventually, web
from safelight.local.launch import one_picture_argv
from safelight.local.model_folders import SHIPPED_MODELS

ROUTE = "/v1/images/generations"
LONG = {"prompt": "a red circle", "num_inference_steps": 100, "guidance_scale": 1.0, "seed": 7}
URGENT = {"prompt": "a blue square", "num_inference_steps": 4, "guidance_scale": 1.0}


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happened: the answers, the lines of the outcome log by their numbers of steps, and the metrics."""

    alone: dict
    paused: dict
    urgent: dict
    lines: dict
    metrics: str


def paint(server, body):
    answer = web.post(server.url + ROUTE, json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The only place of the only worker has a long picture when an urgent one comes, which cannot wait for it."""
    outcomes = tmp_path_factory.mktemp("outcomes") / "served.jsonl"
    argv = (*one_picture_argv([SHIPPED_MODELS / "shapes-small"]), "--max-denoiser-rows", "1")
    with LiveServer(worker_argv=argv, lookahead_rows=0, outcomes=outcomes) as server, ThreadPoolExecutor(1) as client:
        paint(server, URGENT)
        alone = paint(server, LONG)
        took_s = alone["safelight"]["images"][0]["total_s"]
        answer = client.submit(paint, server, LONG)
        running = server.state.service.controller
        eventually(lambda: any(each.step >= 10 for each in running.running))
        urgent = paint(server, URGENT | {"deadline_s": took_s / 2})
        paused = answer.result()
        lines = {line["steps"]: line for line in server.outcomes(4)[2:]}
        metrics = web.get(server.url + "/metrics").text
        yield Course(alone=alone, paused=paused, urgent=urgent, lines=lines, metrics=metrics)


def test_the_urgent_picture_is_delivered_in_time(course):
    assert course.urgent["safelight"]["met_deadline"] is True
    assert course.urgent["safelight"]["pauses"] == 0


def test_the_long_picture_is_the_same_to_the_byte(course):
    assert course.paused["data"][0]["b64_json"] == course.alone["data"][0]["b64_json"]


def test_one_pause_is_told_and_counted(course):
    assert course.paused["safelight"]["pauses"] == 1
    assert course.paused["safelight"]["images"][0]["stages"][0]["pauses"] == 1
    assert (course.lines[100]["pauses"], course.lines[4]["pauses"]) == (1, 0)
    assert 'safelight_pauses_total{model="shapes-small"} 1.0' in course.metrics
