"""Pictures for the official client."""

import base64
import io

import openai
import pytest
from PIL import Image

from fakes.live_server import web


def picture(item):
    return Image.open(io.BytesIO(base64.b64decode(item.b64_json)))


def test_the_official_client_gets_a_picture_of_the_models_own_size(client):
    answer = client.images.generate(prompt="a red circle")
    assert picture(answer.data[0]).size == (64, 64)


def test_the_first_served_model_paints_when_none_is_named(client):
    assert client.images.generate(prompt="a red circle").safelight["model"] == "null-large"


def test_a_named_model_paints(client):
    assert client.images.generate(prompt="a red circle", model="null-small").safelight["model"] == "null-small"


def test_n_pictures_have_seeds_that_count_up(client):
    answer = client.images.generate(prompt="a red circle", n=3, extra_body={"seed": 40})
    assert len(answer.data) == 3
    assert [image["seed"] for image in answer.safelight["images"]] == [40, 41, 42]


def test_without_a_seed_two_requests_get_different_ones(client):
    first, second = (client.images.generate(prompt="a red circle").safelight["seed"] for _ in range(2))
    assert first != second


def test_a_size_is_obeyed(client):
    answer = client.images.generate(prompt="a red circle", size="96x128")
    assert (answer.size, picture(answer.data[0]).size) == ("96x128", (96, 128))


def test_the_size_auto_is_the_models_own(client):
    assert client.images.generate(prompt="a red circle", size="auto").size == "64x64"


@pytest.mark.parametrize(("name", "magic"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_each_output_format_is_what_it_says(client, name, magic):
    answer = client.images.generate(prompt="a red circle", output_format=name)
    assert (answer.output_format, picture(answer.data[0]).format) == (name, magic)


@pytest.mark.parametrize(
    ("quality", "steps"),
    [("low", 13), ("medium", 25), ("standard", 25), ("auto", 25), ("high", 38), ("hd", 38), ("xhigh", 50), ("max", 50)],
)
def test_quality_chooses_the_steps(client, quality, steps):
    assert client.images.generate(prompt="a red circle", quality=quality).safelight["steps"] == steps


def test_a_number_of_steps_beats_quality(client):
    answer = client.images.generate(prompt="a red circle", quality="max", extra_body={"num_inference_steps": 4})
    assert answer.safelight["steps"] == 4


def test_provenance_tells_all_that_is_needed_to_paint_it_again(client):
    options = {"seed": 7, "num_inference_steps": 5, "guidance_scale": 2.5, "sampler": "ddim"}
    provenance = client.images.generate(prompt="a red circle", extra_body=options).safelight
    assert provenance == provenance | {
        "model": "null-large",
        "steps": 5,
        "seed": 7,
        "sampler": "ddim",
        "guidance_scale": 2.5,
        "retries": 0,
    }
    assert provenance["queue_s"] >= 0
    assert provenance["compute_s"] > 0


def test_provenance_names_the_level_of_each_stage(client):
    options = {"num_inference_steps": 5, "guidance_scale": 2.5, "sampler": "ddim"}
    (picture,) = client.images.generate(prompt="a red circle", extra_body=options).safelight["images"]
    (stage,) = picture["stages"]
    assert stage["level"] == {
        "model": "null-large",
        "steps": 5,
        "steps_run": 5,
        "sampler": "ddim",
        "guidance_scale": 2.5,
    }


def test_the_only_stage_of_a_picture_took_as_long_as_the_picture(client):
    (picture,) = client.images.generate(prompt="a red circle").safelight["images"]
    (stage,) = picture["stages"]
    assert stage == stage | {name: picture[name] for name in ("worker", "queue_s", "compute_s", "retries")}


def test_usage_counts_prompt_tokens_and_squares(client):
    usage = client.images.generate(prompt="a red circle", n=2).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 32, 35)


def test_integral_floats_pass_for_integers(client):
    answer = client.images.generate(prompt="x", n=2.0, extra_body={"seed": 3.0, "num_inference_steps": 2.0})
    assert [image["seed"] for image in answer.safelight["images"]] == [3, 4]


def test_nulls_mean_defaults(client):
    nothing = {"seed": None, "num_inference_steps": None, "guidance_scale": None, "sampler": None, "deadline_s": None}
    answer = client.images.generate(prompt="x", model=None, n=None, size=None, extra_body=nothing)
    assert len(answer.data) == 1


def test_fields_of_hosted_models_are_tolerated(client):
    answer = client.images.generate(
        prompt="x", user="me", background="opaque", moderation="low", style="vivid", response_format="b64_json"
    )
    assert len(answer.data) == 1


def test_a_url_leads_to_the_picture(client):
    answer = client.images.generate(prompt="x", response_format="url", output_format="webp")
    file = web.get(answer.data[0].url)
    assert file.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(file.content)).size == (64, 64)


def test_an_unknown_picture_is_a_404(http):
    answer = http.get("/v1/images/img_nobody/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_an_unknown_model_is_a_not_found_error_that_offers_the_nearest(client):
    with pytest.raises(openai.NotFoundError, match="null-large") as caught:
        client.images.generate(prompt="x", model="nul-large")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_errors_carry_the_request_id_to_the_client(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="x", extra_body={"sampler": "eular"}, extra_headers={"X-Request-ID": "mine-1"})
    assert caught.value.request_id == "mine-1"


def test_an_unknown_sampler_offers_the_nearest(client):
    with pytest.raises(openai.BadRequestError, match="euler") as caught:
        client.images.generate(prompt="x", extra_body={"sampler": "eular"})
    assert caught.value.param == "sampler"
