"""Pictures in vLLM-Omni's chat shape."""

import base64
import io

import pytest
from PIL import Image

PROMPT = [{"role": "user", "content": "a red circle"}]


def chat(http, **body):
    return http.post("/v1/chat/completions", json={"messages": PROMPT} | body)


def picture(answer):
    (item,) = answer.json()["choices"][0]["message"]["content"]
    start, _, data = item["image_url"]["url"].partition(",")
    assert (item["type"], start) == ("image_url", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_benchmark_clients_own_request_is_served(http):
    options = {"height": 96, "width": 64, "num_inference_steps": 3, "seed": 0, "return_stage_metrics": True}
    answer = chat(http, model="null-large", extra_body=options)
    assert answer.status_code == 200
    assert picture(answer).size == (64, 96)
    assert answer.json()["safelight"]["steps"] == 3


def test_options_may_stand_at_the_top_level(http):
    assert picture(chat(http, height=96, width=64)).size == (64, 96)


def test_options_of_both_places_are_merged(http):
    provenance = chat(http, seed=5, extra_body={"num_inference_steps": 2}).json()["safelight"]
    assert (provenance["seed"], provenance["steps"]) == (5, 2)


def test_an_option_in_both_places_is_refused(http):
    answer = chat(http, seed=5, extra_body={"seed": 5})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "seed"


def test_integral_floats_pass_for_integers(http):
    assert picture(chat(http, extra_body={"height": 64.0, "width": 96.0})).size == (96, 64)


def test_stage_durations_are_where_the_clients_look_for_them(http):
    answer = chat(http).json()
    item = answer["choices"][0]["message"]["content"][0]
    assert set(item["stage_durations"]) == set(answer["metrics"]["stage_durations"]) == {"queue", "diffusion"}


def test_text_parts_are_read(http):
    parts = [{"type": "text", "text": "a red"}, {"type": "text", "text": "circle"}]
    answer = chat(http, messages=[{"role": "user", "content": parts}])
    assert answer.json()["usage"]["prompt_tokens"] == 3


def test_the_last_user_message_is_the_prompt(http):
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "one two three four"},
    ]
    assert chat(http, messages=messages).json()["usage"]["prompt_tokens"] == 4


def test_earlier_answers_may_stay_in_the_conversation(http):
    earlier = {"role": "assistant", "content": chat(http).json()["choices"][0]["message"]["content"]}
    assert chat(http, messages=[*PROMPT, earlier, *PROMPT]).status_code == 200


def test_a_side_that_is_left_out_is_the_models_own(http):
    assert picture(chat(http, width=96)).size == (96, 64)


def test_n_gives_as_many_choices(http):
    assert len(chat(http, n=2).json()["choices"]) == 2


def test_fields_of_language_models_are_tolerated(http):
    assert chat(http, temperature=0.5, max_tokens=5, stream=False).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"width": 60, "height": 64}, "size"),
        ({"extra_body": {"seed": "five"}}, "extra_body.seed"),
        ({"stream": True}, "stream"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(http, body, param):
    answer = chat(http, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
