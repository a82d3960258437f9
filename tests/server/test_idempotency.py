"""The same request under the same key is painted once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from fakes.live_server import LiveServer, eventually, web
from safelight.server.idempotency import RepeatableRequest, ResponseStore
from safelight.server.shared_response import SharedResponse

ROUTE = "/v1/images/generations"
AT_ONCE = 16


def post(server, key, **body):
    headers = {"Idempotency-Key": key}
    return web.post(server.url + ROUTE, json={"prompt": "x"} | body, headers=headers, timeout=30)


def test_a_repetition_gets_the_same_answer(quick):
    first, second = (post(quick, "again") for _ in range(2))
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"


def test_a_first_answer_is_no_replay(quick):
    assert "idempotent-replayed" not in post(quick, "fresh").headers


def test_a_repetition_of_a_stream_gets_the_same_events(quick):
    first, second = (post(quick, "stream", stream=True, partial_images=2) for _ in range(2))
    assert first.content == second.content
    assert second.headers["content-type"].startswith("text/event-stream")


def test_a_repetition_joins_the_running_request(slow):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(post(slow, "joined"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.content for answer in answers}) == 1


def test_the_same_key_with_another_body_is_refused(quick):
    post(quick, "reused")
    answer = post(quick, "reused", prompt="y")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_key_reused")


def test_a_failed_request_is_run_again(slow):
    with pytest.raises(httpx2.ReadTimeout):
        web.post(
            slow.url + ROUTE,
            json={"prompt": "x", "num_inference_steps": 10},
            headers={"Idempotency-Key": "left"},
            timeout=httpx2.Timeout(5, read=0.1),
        )
    eventually(lambda: not slow.waiting_and_running)
    answer = post(slow, "left", num_inference_steps=10)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)


def test_a_client_that_leaves_does_not_stop_one_that_joined(slow):
    answers = []
    stayer = threading.Thread(target=lambda: answers.append(post(slow, "shared")))
    stayer.start()
    eventually(lambda: slow.waiting_and_running)
    with pytest.raises(httpx2.ReadTimeout):
        web.post(
            slow.url + ROUTE,
            json={"prompt": "x"},
            headers={"Idempotency-Key": "shared"},
            timeout=httpx2.Timeout(5, read=0.1),
        )
    stayer.join()
    assert answers[0].status_code == 200


def test_repetitions_at_the_same_moment_are_painted_once(slow):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: post(slow, "storm", num_inference_steps=5), range(AT_ONCE)))
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len({answer.content for answer in answers}) == 1


def test_the_store_is_bounded():
    with LiveServer(max_stored=2) as server:
        first = post(server, "a", seed=1)
        post(server, "b")
        post(server, "c")
        assert "idempotent-replayed" not in post(server, "a", seed=1).headers
        assert first.status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_of_no_or_too_many_characters_is_refused(quick, key):
    assert post(quick, key).status_code == 400


def test_callers_do_not_see_each_others_answers():
    async def store_and_look():
        async def chunks():
            yield b"x"

        store = ResponseStore(max_responses=2, max_bytes=100)
        store.put(RepeatableRequest(caller="a", key="k", fingerprint=b"f"), SharedResponse(chunks(), headers={}))
        return store.find(RepeatableRequest(caller="b", key="k", fingerprint=b"f"))

    assert asyncio.run(store_and_look()) is None
