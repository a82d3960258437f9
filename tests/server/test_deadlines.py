"""A missed deadline over HTTP: late pictures say so, and expired ones end at their deadline."""

import json

import pytest

from fakes.live_server import LiveServer, web
from safelight.api.client import Client
from safelight.control.policies import policies_from
from safelight.core.errors import WorkFailed

GENERATIONS, CHAT = "/v1/images/generations", "/v1/chat/completions"
MISSED = {"prompt": "x", "num_inference_steps": 20, "deadline_s": 0.1}
"""Takes 0.4 s."""

MESSAGES = {"messages": [{"role": "user", "content": "x"}]} | {
    name: value for name, value in MISSED.items() if name != "prompt"
}


@pytest.fixture(scope="module")
def server():
    """It promises nothing, so that it accepts what it cannot paint in time."""
    with LiveServer(step_s=0.02, policies=policies_from(["admission=open"])) as server:
        yield server


def post(server, body, path=GENERATIONS):
    return web.post(server.url + path, json=body)


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_late_picture_is_delivered_and_its_answer_says_that_it_is_late(server):
    made = post(server, MISSED).json()["safelight"]
    (picture,) = made["images"]
    assert (made["met_deadline"], picture["met_deadline"], picture["deadline_s"]) == (False, False, 0.1)
    assert picture["late_s"] == pytest.approx(picture["total_s"] - 0.1)


def test_a_picture_in_time_says_so(server):
    made = post(server, MISSED | {"deadline_s": 60, "n": 2}).json()["safelight"]
    assert (made["met_deadline"], [picture.get("late_s") for picture in made["images"]]) == (True, [None, None])


def test_without_a_deadline_nothing_is_said_of_one(server):
    made = post(server, {"prompt": "x", "num_inference_steps": 1}).json()["safelight"]
    assert not {"met_deadline", "deadline_s", "late_s"} & (made.keys() | made["images"][0].keys())


def test_a_late_picture_of_a_stream_says_that_it_is_late(server):
    *_, last = post(server, MISSED | {"stream": True}).text.strip().split("\n\n")
    assert json.loads(last.partition("data: ")[2])["safelight"]["met_deadline"] is False


@pytest.mark.parametrize(("path", "body"), [(GENERATIONS, MISSED), (CHAT, MESSAGES)])
def test_a_picture_that_expires_is_a_504_with_a_reason(server, path, body):
    assert error_of(post(server, body | {"on_deadline": "expire"}, path)) == (504, "deadline_expired")


def test_an_expired_picture_is_not_to_be_retried_by_itself(server):
    assert post(server, MISSED | {"on_deadline": "expire"}).headers["x-should-retry"] == "false"


def test_an_expired_picture_of_a_stream_is_an_event(server):
    *_, last = post(server, MISSED | {"on_deadline": "expire", "stream": True}).text.strip().split("\n\n")
    assert json.loads(last.partition("data: ")[2])["error"]["code"] == "deadline_expired"


def test_expired_pictures_are_counted_apart(server):
    post(server, MISSED | {"on_deadline": "expire"})
    assert 'safelight_pictures_total{model="null-large",status="expired"}' in web.get(server.url + "/metrics").text


def test_late_pictures_are_counted_and_logged(server):
    post(server, MISSED)
    assert 'safelight_late_pictures_total{model="null-large"}' in web.get(server.url + "/metrics").text
    assert any(line.get("late_s", 0) > 0 for line in map(json.loads, server.log.splitlines()))


def test_what_has_no_deadline_does_not_expire(server):
    assert post(server, {"prompt": "x", "num_inference_steps": 20, "on_deadline": "expire"}).status_code == 200


def test_another_word_is_refused_by_name(server):
    answer = post(server, MISSED | {"on_deadline": "drop"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "on_deadline")


def test_the_client_fails_with_the_reason(server):
    with Client(server.url) as client, pytest.raises(WorkFailed) as failed:
        client.generate("x", steps=20, deadline_s=0.1, on_deadline="expire")
    assert failed.value.reason == "deadline_expired"
