"""The queue shows what waits and runs, and lets one cancel it."""

import base64
import io
import threading
from contextlib import contextmanager

from PIL import Image

from fakes.live_server import LiveServer, eventually, web

ROUTE = "/v1/images/generations"


@contextmanager
def painting(server, **body):
    """Paint within a `with`; gives a list that will hold the answer."""
    answers = []
    long = {"prompt": "a red circle", "num_inference_steps": 50}
    asking = threading.Thread(target=lambda: answers.append(web.post(server.url + ROUTE, json=long | body, timeout=30)))
    asking.start()
    yield answers
    asking.join()


def queue(server):
    return web.get(f"{server.url}/v1/queue").json()


def entry_when(server, condition):
    return eventually(lambda: next((entry for entry in queue(server)["requests"] if condition(entry)), None))


def cancel(server, picture_id):
    return web.post(f"{server.url}/v1/queue/{picture_id}/cancel")


def test_a_running_picture_shows_its_progress(slow):
    with painting(slow):
        entry = entry_when(slow, lambda entry: entry["step"] > 1)
    assert entry == entry | {"prompt": "a red circle", "model": "null-large", "state": "running", "steps": 50}
    assert entry["worker"].startswith("worker-0.")
    assert entry["age_s"] > 0
    assert entry["expected_s"] > 0


def test_a_running_picture_shows_a_preview(slow):
    with painting(slow):
        url = entry_when(slow, lambda entry: entry["preview"])["preview"]
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).format == "PNG"


def test_workers_show_what_they_hold(slow):
    with painting(slow, n=2):
        entry_when(slow, lambda entry: entry["state"] == "running")
        (worker,) = queue(slow)["workers"]
    assert worker == {"name": worker["name"], "models": ["null-large", "null-small"], "rows": 2, "state": "ready"}


def test_a_cancelled_picture_is_gone_and_its_client_told(slow):
    with painting(slow) as answers:
        picture_id = entry_when(slow, lambda entry: entry["state"] == "running")["id"]
        assert cancel(slow, picture_id).json() == {"id": picture_id, "state": "cancelled"}
        assert queue(slow)["requests"] == []
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (410, "cancelled")
    assert answers[0].headers["x-should-retry"] == "false"


def test_cancelling_one_of_several_cancels_the_request(slow):
    with painting(slow, n=3) as answers:
        cancel(slow, entry_when(slow, lambda _: True)["id"])
    assert answers[0].status_code == 410
    eventually(lambda: not slow.waiting_and_running)


def test_a_picture_can_be_cancelled_once(slow):
    with painting(slow):
        picture_id = entry_when(slow, lambda _: True)["id"]
        cancel(slow, picture_id)
        assert cancel(slow, picture_id).status_code == 404


def test_an_unknown_picture_cannot_be_cancelled(http):
    assert http.post("/v1/queue/img_nobody/cancel").status_code == 404


def test_pace_is_over_what_was_finished_of_late(quick, http):
    http.post(ROUTE, json={"prompt": "x"})
    view = queue(quick)
    assert view["throughput_per_s"] > 0
    assert 0 < view["latency_p50_s"] <= view["latency_p95_s"]


def test_before_the_first_picture_there_is_no_latency():
    with LiveServer(is_awaited=False) as server:
        view = queue(server)
    assert (view["latency_p50_s"], view["throughput_per_s"], view["requests"]) == (None, 0, [])
