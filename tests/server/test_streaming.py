"""Server-sent events for the official client."""

import base64
import io

import openai
import pytest
from PIL import Image


def events(client, **options):
    return list(client.images.generate(prompt="a red circle", stream=True, **options))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_as_many_previews_come_as_were_asked_for(client, count):
    kinds = [event.type for event in events(client, partial_images=count)]
    assert kinds == ["image_generation.partial_image"] * count + ["image_generation.completed"]


def test_previews_are_numbered_from_zero(client):
    *partial, _ = events(client, partial_images=3)
    assert [event.partial_image_index for event in partial] == [0, 1, 2]


def test_previews_have_the_size_of_the_picture(client):
    preview, _ = events(client, partial_images=1, size="96x64")
    assert Image.open(io.BytesIO(base64.b64decode(preview.b64_json))).size == (96, 64)


def test_a_picture_of_one_step_comes_without_previews(client):
    assert len(events(client, partial_images=3, extra_body={"num_inference_steps": 1})) == 1


def test_the_last_event_has_picture_usage_and_provenance(client):
    (completed,) = events(client, extra_body={"seed": 9})
    assert Image.open(io.BytesIO(base64.b64decode(completed.b64_json))).size == (64, 64)
    assert completed.usage.input_tokens == 3
    assert completed.safelight["seed"] == 9


def test_streams_are_for_one_picture(client):
    with pytest.raises(openai.BadRequestError, match="streaming is only supported with n=1") as caught:
        events(client, n=2)
    assert caught.value.param == "n"


def test_a_stream_names_its_picture_in_a_header(slow_http):
    body = {"prompt": "x", "stream": True}
    with slow_http.stream("POST", "/v1/images/generations", json=body) as answer:
        queued = slow_http.get("/v1/queue").json()["requests"]
        assert answer.headers["x-safelight-picture-ids"] in [entry["id"] for entry in queued]
        answer.read()


def test_a_refusal_comes_with_its_status_before_any_event(client):
    with pytest.raises(openai.NotFoundError):
        events(client, model="nobody")


def test_a_picture_cancelled_on_its_way_ends_the_stream_with_an_error(slow, slow_http):
    with openai.OpenAI(base_url=f"{slow.url}/v1", api_key="EMPTY", max_retries=0) as client:
        stream = client.images.generate(prompt="x", stream=True, extra_body={"num_inference_steps": 200})
        picture_id = stream.response.headers["x-safelight-picture-ids"]
        slow_http.post(f"/v1/queue/{picture_id}/cancel")
        with pytest.raises(openai.APIError, match="cancelled"):
            list(stream)
