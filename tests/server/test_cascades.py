"""A cascade served live: levels, promises, previews and what the answer says of them."""

import base64
import json

import pytest

from fakes.live_server import LiveServer, null_worker_argv, web
from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascade_static import StaticCascade
from safelight.control.policies import Policies

LIGHT, HEAVY, AUTO = "null-small", "null-large", "null-auto"
CASCADE = Cascade(name=AUTO, light=LIGHT, heavy=HEAVY, gate="null-gate", threshold=0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    outcomes = tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"
    argv = null_worker_argv(gate="null-gate")
    policies = Policies(level=StaticCascade())
    with LiveServer(worker_argv=argv, cascades=(CASCADE,), policies=policies, outcomes=outcomes) as live:
        yield live


def ask(server, prompt, *, status=200, **fields):
    response = web.post(f"{server.url}/v1/images/generations", json={"prompt": prompt, "model": AUTO} | fields)
    assert response.status_code == status, response.text
    return response.json()


def quality(server, prompt, **fields):
    return ask(server, prompt, **fields)["safelight"]["quality"]


@pytest.mark.parametrize(
    ("score", "fields", "levels", "reason"),
    [
        (0.9, {}, [LIGHT], "gate"),
        (0.1, {}, [LIGHT, HEAVY], "gate"),
        (0.9, {"quality": "auto", "min_quality": 0.95}, [LIGHT, HEAVY], "gate"),
        (0.9, {"min_quality": 0.8}, [LIGHT], "gate"),
        (0.1, {"quality": "low"}, [LIGHT], "asked"),
        (0.9, {"quality": "high"}, [HEAVY], "asked"),
        (0.9, {"quality": "max"}, [HEAVY], "asked"),
        (0.9, {"cascade": False}, [HEAVY], "asked"),
        (0.9, {"num_inference_steps": 3}, [HEAVY], "unfit"),
        (0.1, {"model": None}, [LIGHT, HEAVY], "gate"),
        (0.1, {"model": LIGHT}, [LIGHT], "asked"),
    ],
    ids=str,
)
def test_the_answer_says_which_models_painted_and_why(server, score, fields, levels, reason):
    made = ask(server, f"a circle {score}", **fields)["safelight"]
    assert (made["quality"]["levels"], made["quality"]["reason"]) == (levels, reason)
    assert made["model"] == levels[-1]
    assert [stage["level"]["model"] for stage in made["images"][0]["stages"]] == levels
    if reason == "gate":
        assert made["quality"]["gate_score"] == score
    if promise := fields.get("min_quality"):
        assert (made["quality"]["promise"], made["quality"]["kept_promise"]) == (promise, True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quality": "low", "min_quality": 0.99}, "quality low"),
        ({"model": LIGHT, "min_quality": 0.5}, "name a cascade"),
        ({"min_quality": 1.5}, "min_quality"),
        ({"min_quality": -0.1}, "min_quality"),
        ({"model": "null-aut"}, f"did you mean '{AUTO}'"),
    ],
    ids=str,
)
def test_conflicts_and_values_out_of_range_are_refused(server, fields, words):
    status = 404 if "model" in fields and "min_quality" not in fields else 400
    error = ask(server, "a circle 0.9", status=status, **fields)["error"]
    assert words in error["message"]


def test_a_rejected_light_picture_streams_as_a_preview(server):
    body = {"prompt": "a circle 0.1", "model": AUTO, "stream": True, "partial_images": 1}
    text = web.post(f"{server.url}/v1/images/generations", json=body).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    kinds = [event["type"].rpartition(".")[2] for event in events]
    assert kinds == ["partial_image", "completed"]
    assert events[0]["b64_json"]
    assert events[1]["safelight"]["quality"]["levels"] == [LIGHT, HEAVY]


def test_edits_and_chats_say_it_too(server):
    message = [{"role": "user", "content": "a circle 0.9"}]
    body = {"model": AUTO, "messages": message, "min_quality": 0.5}
    chat = web.post(f"{server.url}/v1/chat/completions", json=body).json()
    assert "'kept_promise': True" in str(chat)
    picture = ask(server, "a circle 0.9")["data"][0]["b64_json"]
    edit = {"prompt": "a circle 0.9", "model": AUTO, "image": f"data:image/png;base64,{picture}"}
    made = web.post(f"{server.url}/v1/images/edits", json=edit).json()["safelight"]["quality"]
    assert (made["levels"], made["reason"]) == ([HEAVY], "unfit")


def test_a_cascade_is_listed_as_what_it_is(server):
    listed = web.get(f"{server.url}/v1/models").json()["data"]
    assert [card["id"] for card in listed] == [AUTO, HEAVY, LIGHT]
    parts = listed[0]["safelight"]["cascade"]
    assert (parts["light"], parts["heavy"], parts["gate"], parts["threshold"]) == (LIGHT, HEAVY, "null-gate", 0.5)
    assert listed[1]["safelight"]["cascade"] is None


def test_metrics_count_levels_and_promises(server):
    quality(server, "a circle 0.1", min_quality=0.5)
    text = web.get(f"{server.url}/metrics").text
    assert f'safelight_cascade_pictures_total{{cascade="{AUTO}",levels="{LIGHT} > {HEAVY}",reason="gate"}}' in text
    assert f'safelight_quality_promises_total{{cascade="{AUTO}",kept="yes"}}' in text


def test_the_queue_counts_the_levels_of_the_last_minute(server):
    quality(server, "a circle 0.1")
    told = web.get(f"{server.url}/v1/queue").json()["levels"]
    assert [LIGHT, HEAVY] in [each["levels"] for each in told if each["pictures"] > 0]


def test_a_form_says_it_in_words(server):
    picture = base64.b64decode(ask(server, "a circle 0.9")["data"][0]["b64_json"])
    fields = {"prompt": "a circle 0.9", "model": AUTO, "cascade": "false", "min_quality": "0.5"}
    sent = web.post(f"{server.url}/v1/images/edits", data=fields, files={"image": ("a.png", picture, "image/png")})
    assert sent.json()["safelight"]["quality"]["kept_promise"] is True
