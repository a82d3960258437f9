"""Bad input gets a clear message with the offending value, and the server goes on serving."""

import json

import pytest

from safelight.service.paint_request import MAX_SEED

ROUTE = "/v1/images/generations"
JSON = {"content-type": "application/json"}


def refusal(http, status=400, **body):
    answer = http.post(ROUTE, json={"prompt": "x"} | body)
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    return error


def raw_refusal(http, content, **headers):
    answer = http.post(ROUTE, content=content, headers=JSON | headers)
    assert answer.status_code == 400
    return answer.json()["error"]


def with_raw_field(name, literal):
    return f'{{"prompt": "x", "{name}": {literal}}}'.encode()


@pytest.mark.parametrize("prompt", ["", " \n "])
def test_an_empty_prompt_is_refused(http, prompt):
    assert refusal(http, prompt=prompt)["param"] == "prompt"


def test_a_prompt_of_40_kb_is_refused_with_its_length_and_the_limit(http):
    message = refusal(http, prompt="x" * 40_000)["message"]
    assert "40,000" in message
    assert "4000" in message


@pytest.mark.parametrize("size", ["100x64", "64x4096", "8x8", "99999x99999"])
def test_a_size_that_the_model_cannot_paint_is_refused_with_what_it_can(http, size):
    message = refusal(http, size=size)["message"]
    assert size in message
    assert "multiples of 16 from 16 to 128" in message


@pytest.mark.parametrize("size", ["", "64", "0x64", "-64x64", "64x64x64", "64X64", "huge", "1e9x64", 512])
def test_what_is_no_size_is_refused(http, size):
    error = refusal(http, size=size)
    assert error["param"] == "size"
    assert repr(size) in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 0),
        ("n", 11),
        ("n", 1.5),
        ("n", "2"),
        ("n", True),
        ("num_inference_steps", 0),
        ("num_inference_steps", 100_000),
        ("guidance_scale", -1),
        ("guidance_scale", 1e6),
        ("guidance_scale", "strong"),
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("deadline_s", 0),
        ("deadline_s", -3),
        ("partial_images", 4),
        ("output_format", "gif"),
        ("output_compression", 101),
        ("quality", "perfect"),
        ("response_format", "file"),
        ("on_disconnect", "explode"),
        ("sampler", "eular"),
        ("sampler", 3),
        ("stream", "yes"),
        ("model", 5),
        ("prompt", 5),
        ("prompt", None),
        ("prompt", ["a"]),
    ],
)
def test_a_value_out_of_bounds_is_refused_and_named(http, field, value):
    error = refusal(http, **{field: value})
    assert error["param"] == field
    assert repr(value) in error["message"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["guidance_scale", "deadline_s", "seed", "n"])
def test_numbers_that_are_none_are_refused(http, field, literal):
    assert raw_refusal(http, with_raw_field(field, literal))["param"] == field


def test_a_number_of_many_digits_is_refused(http):
    raw_refusal(http, with_raw_field("seed", "9" * 5000))


def test_an_unknown_field_is_refused_and_the_nearest_offered(http):
    error = refusal(http, sead=5)
    assert "'seed'" in error["message"]


@pytest.mark.parametrize("name", ["lora", "image", "output_path"])
def test_files_and_paths_are_not_taken(http, name):
    assert refusal(http, **{name: "/etc/passwd"})["param"] == name


def test_a_missing_prompt_is_named(http):
    answer = http.post(ROUTE, json={"n": 1})
    assert answer.json()["error"]["message"] == "prompt is missing."


def test_an_unknown_model_is_refused_with_the_nearest_names(http):
    assert "did you mean 'null-large'" in refusal(http, status=404, model="null-lrge")["message"]


@pytest.mark.parametrize("content", [b"{", b'{"prompt": }', b"\x00", b"prompt=x", b"{} {"], ids=repr)
def test_broken_json_is_refused(http, content):
    error = raw_refusal(http, content)
    assert error["code"] == "invalid_json"
    assert "not valid JSON" in error["message"]


def test_broken_utf8_is_refused(http):
    assert "UTF-8" in raw_refusal(http, b'{"prompt": "\xff\xfe"}')["message"]


def test_half_a_surrogate_pair_is_refused(http):
    assert raw_refusal(http, b'{"prompt": "\\ud800"}')["param"] == "prompt"


def test_deep_nesting_is_refused(http):
    raw_refusal(http, b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize("content", [b"[]", b'"x"', b"5", b"null", b""], ids=repr)
def test_json_that_is_no_object_is_refused(http, content):
    assert "JSON object" in raw_refusal(http, content)["message"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_does_not_say_it_is_json_is_refused(http, media_type):
    body = json.dumps({"prompt": "x"}).encode()
    assert "Content-Type" in raw_refusal(http, body, **{"content-type": media_type})["message"]


def test_a_value_is_shortened_in_the_message(http):
    assert len(refusal(http, sampler="x" * 200)["message"]) < 300


def test_several_faults_are_told_together(http):
    message = refusal(http, n=0, size="huge")["message"]
    assert "n is 0" in message
    assert "size is 'huge'" in message


def test_an_unknown_path_is_told_in_the_same_shape(http):
    answer = http.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_wrong_method_is_told_in_the_same_shape_with_those_allowed(http):
    answer = http.put(ROUTE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_after_all_that_pictures_still_come(http):
    assert http.post(ROUTE, json={"prompt": "x"}).status_code == 200
