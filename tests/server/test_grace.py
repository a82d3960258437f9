"""`lora_grace_steps`: a picture may begin while its LoRAs load, and its answer says for how many steps it did."""

import threading
from contextlib import contextmanager

import openai
import pytest

from fakes.live_server import LiveServer, eventually, null_worker_argv, web

ROUTE, CHAT = "/v1/images/generations", "/v1/chat/completions"
STEP_S = 0.005
GRACE = 3


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "adapters"
    folder.mkdir()
    (folder / "outline.safetensors").touch()
    return folder


@pytest.fixture
def outline(folder):
    return folder / "outline.safetensors"


@pytest.fixture
def server(folder, tmp_path):
    with LiveServer(step_s=STEP_S, adapters=(folder,), outcomes=tmp_path / "outcomes.jsonl") as server:
        yield server


def body(**fields):
    return {"prompt": "x", "num_inference_steps": 8, "loras": [{"name": "outline"}]} | fields


@contextmanager
def asking(ask, *, locked=None):
    """Ask in a thread within the block, with the adapter at `locked` read no further; gives a list for the answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    lock = locked and locked.with_suffix(".lock")
    if lock:
        lock.touch()
    thread.start()
    try:
        yield answers
    finally:
        if lock:
            lock.unlink()
        thread.join()


def post(server, **fields):
    return lambda: web.post(server.url + ROUTE, json=body(**fields))


def steps(server):
    """How many steps each picture on its way has done, as the queue tells it."""
    return [entry["step"] for entry in web.get(f"{server.url}/v1/queue").json()["requests"]]


def test_the_answer_tells_how_many_steps_ran_without_the_loras(server, outline):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="EMPTY", max_retries=0) as client:

        def ask():
            extra = {"loras": [{"name": "outline"}], "lora_grace_steps": GRACE, "num_inference_steps": 8}
            return client.images.generate(prompt="x", extra_body=extra)

        with asking(ask, locked=outline) as answers:
            eventually(lambda: steps(server) == [GRACE])
    (told,) = answers[0].safelight["images"]
    assert told["steps_without_loras"] == GRACE


def test_a_picture_goes_no_further_than_its_grace_while_others_are_painted(server, outline):
    with asking(post(server, lora_grace_steps=GRACE), locked=outline) as answers:
        eventually(lambda: steps(server) == [GRACE])
        assert web.post(server.url + ROUTE, json={"prompt": "x"}).status_code == 200
        assert steps(server) == [GRACE]
    assert answers[0].status_code == 200


def test_by_default_no_step_runs_without_loras(server, outline):
    with asking(
        post(
            server,
        ),
        locked=outline,
    ) as answers:
        eventually(lambda: steps(server) == [0])
        assert web.post(server.url + ROUTE, json={"prompt": "x"}).status_code == 200
        assert steps(server) == [0]
    assert answers[0].json()["safelight"]["images"][0]["steps_without_loras"] == 0


def test_chat_takes_and_tells_it_too(server, outline):
    asked = {"messages": [{"role": "user", "content": "x"}], "extra_body": body(lora_grace_steps=GRACE)}
    del asked["extra_body"]["prompt"]
    with asking(lambda: web.post(server.url + CHAT, json=asked), locked=outline) as answers:
        eventually(lambda: steps(server) == [GRACE])
    assert answers[0].json()["safelight"]["images"][0]["steps_without_loras"] == GRACE


def test_the_outcome_log_and_the_metrics_have_it(server, outline):
    with asking(post(server, lora_grace_steps=GRACE, n=2), locked=outline):
        eventually(lambda: steps(server) == [GRACE, GRACE])
    assert [each["steps_without_loras"] for each in server.outcomes(2)] == [GRACE] * 2
    metrics = web.get(f"{server.url}/metrics").text
    assert f'safelight_steps_without_loras_total{{model="null-large"}} {2.0 * GRACE}' in metrics


def test_a_picture_cancelled_while_it_stands_still_is_gone(server, outline):
    with asking(post(server, lora_grace_steps=GRACE), locked=outline) as answers:
        eventually(lambda: steps(server) == [GRACE])
        (entry,) = web.get(f"{server.url}/v1/queue").json()["requests"]
        web.post(f"{server.url}/v1/queue/{entry['id']}/cancel")
        eventually(lambda: server.waiting_and_running == 0)
    assert answers[0].status_code == 410
    assert web.post(server.url + ROUTE, json=body()).status_code == 200


@pytest.mark.parametrize("value", [-1, 201, 1.5, "3", True])
def test_what_is_no_number_of_steps_is_refused_and_named(server, value):
    answer = web.post(server.url + ROUTE, json=body(lora_grace_steps=value))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "lora_grace_steps")
    assert repr(value) in answer.json()["error"]["message"]


def test_loras_of_requests_that_wait_are_read_before_a_worker_takes_them(folder, outline):
    argv = (*null_worker_argv(step_s=STEP_S), "--max-denoiser-rows", "1")
    busy = {"loras": [], "n": 5, "num_inference_steps": 200, "guidance_scale": 1.0}
    with LiveServer(worker_argv=argv, adapters=(folder,)) as server, asking(post(server, **busy)):
        eventually(lambda: server.state.service.controller.running_count == 5)
        with asking(post(server), locked=outline):
            eventually(outline.with_suffix(".reading").exists)
            assert server.state.service.controller.waiting_count == 1
            for entry in web.get(f"{server.url}/v1/queue").json()["requests"]:
                web.post(f"{server.url}/v1/queue/{entry['id']}/cancel")
