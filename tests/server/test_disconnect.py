"""When the client goes away its picture stops at the next step, unless it said finish."""

import threading

import httpx2
import pytest

from fakes.live_server import eventually, web

ROUTE = "/v1/images/generations"
LONG = {"prompt": "x", "num_inference_steps": 200}
SHORT = {"prompt": "x", "num_inference_steps": 15}


def statuses(server):
    """How many requests have ended, by how."""
    lines = web.get(f"{server.url}/metrics").text.splitlines()
    counts = (line.rpartition(" ") for line in lines if line.startswith("safelight_pictures_total"))
    return {name.partition('status="')[2].partition('"')[0]: float(value) for name, _, value in counts}


def count(server, status):
    return statuses(server).get(status, 0)


def abandon(server, body):
    """Send a request and hang up once it is being painted."""
    with pytest.raises(httpx2.ReadTimeout):
        web.post(server.url + ROUTE, json=body, timeout=httpx2.Timeout(5, read=0.2))


def abandon_stream(server, body):
    with web.stream("POST", server.url + ROUTE, json=body | {"stream": True}) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("leave", [abandon, abandon_stream])
def test_a_picture_stops_when_its_client_leaves(slow, leave):
    before = count(slow, "cancelled")
    leave(slow, LONG)
    eventually(lambda: count(slow, "cancelled") == before + 1)
    eventually(lambda: not slow.waiting_and_running)


@pytest.mark.parametrize("leave", [abandon, abandon_stream])
def test_a_picture_is_finished_for_nobody_when_its_client_wants_that(slow, leave):
    before = count(slow, "finished")
    leave(slow, SHORT | {"on_disconnect": "finish"})
    eventually(lambda: count(slow, "finished") == before + 1)


def test_all_pictures_of_a_request_stop_together(slow):
    before = count(slow, "cancelled")
    abandon(slow, LONG | {"n": 4})
    eventually(lambda: count(slow, "cancelled") == before + 4)


def test_others_are_not_disturbed(slow):
    answers = []
    stayer = threading.Thread(target=lambda: answers.append(web.post(slow.url + ROUTE, json=SHORT)))
    stayer.start()
    abandon(slow, LONG)
    stayer.join()
    assert answers[0].status_code == 200
