"""Pictures from pictures, as the official client asks for them, as a form, and as JSON."""

import base64
import io
import json
import random

import numpy as np
import openai
import pytest
from PIL import Image

from fakes.null_engine import GREY

ROUTE = "/v1/images/edits"
RED, CLEAR, OPAQUE = (200, 30, 30), (0, 0, 0, 0), (0, 0, 0, 255)


def file_of(image, kind="PNG"):
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


def data_url(image):
    return f"data:image/png;base64,{base64.b64encode(file_of(image)).decode()}"


def half(left, right, size=(64, 64)):
    """Return a picture of two colours side by side."""
    image = Image.new("RGBA" if len(left) == 4 else "RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


SOURCE = Image.new("RGB", (64, 64), RED)


def opened(answer):
    """Return the pictures of an answer of either client."""
    data = answer.data if hasattr(answer, "data") else answer.json()["data"]
    files = [one.b64_json if hasattr(one, "b64_json") else one["b64_json"] for one in data]
    return [Image.open(io.BytesIO(base64.b64decode(file))) for file in files]


def edit(http, **body):
    return http.post(ROUTE, json={"prompt": "x", "image": data_url(SOURCE)} | body)


def test_the_official_client_edits_a_picture(client):
    answer = client.images.edit(image=file_of(SOURCE), prompt="x", extra_body={"strength": 0.4, "seed": 7})
    assert [image.getpixel((9, 9)) for image in opened(answer)] == [RED]
    told = answer.safelight
    assert (told["steps"], told["steps_run"], told["seed"]) == (25, 10, 7)


def test_several_pictures_are_edited_each(client):
    colours = [(10 * number, 0, 0) for number in range(3)]
    files = [file_of(Image.new("RGB", (64, 64), colour)) for colour in colours]
    answer = client.images.edit(image=files, prompt="x", n=2, extra_body={"seed": 7})
    assert [image.getpixel((0, 0))[0] for image in opened(answer)] == [0, 0, 10, 10, 20, 20]
    assert [image["seed"] for image in answer.safelight["images"]] == [7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    "mask",
    [half(OPAQUE, CLEAR), half((0, 0, 0), (255, 255, 255)), half(OPAQUE, CLEAR, size=(640, 640))],
    ids=["transparent", "white", "of another size"],
)
def test_a_mask_says_where_to_paint(client, mask):
    (picture,) = opened(client.images.edit(image=file_of(SOURCE), mask=file_of(mask), prompt="x"))
    assert (picture.getpixel((10, 30)), picture.getpixel((50, 30))) == (RED, (GREY, GREY, GREY))


def test_all_steps_are_run_within_a_mask(client):
    answer = client.images.edit(image=file_of(SOURCE), mask=file_of(half(OPAQUE, CLEAR)), prompt="x")
    assert answer.safelight["steps_run"] == 25


def test_a_picture_alone_is_painted_anew_for_the_most_part(http):
    assert edit(http).json()["safelight"]["steps_run"] == 20


@pytest.mark.parametrize(("strength", "steps_run"), [(1.0, 25), (0.5, 12), (0.01, 1)])
def test_strength_is_the_share_of_the_steps_that_are_run(http, strength, steps_run):
    assert edit(http, strength=strength).json()["safelight"]["steps_run"] == steps_run


@pytest.mark.parametrize(
    ("source", "size", "painted"),
    [
        ((64, 64), None, (64, 64)),
        ((96, 80), None, (96, 80)),
        ((500, 333), None, (64, 64)),
        ((96, 80), "64x96", (64, 96)),
    ],
)
def test_the_size_is_the_pictures_own_where_the_model_paints_it(http, source, size, painted):
    body = {"image": data_url(Image.new("RGB", source, RED)), **({"size": size} if size else {})}
    assert [image.size for image in opened(edit(http, **body))] == [painted]


def test_a_photograph_is_turned_upright(http):
    sideways = half((0, 0, 0), (255, 255, 255))
    turned = Image.Exif()
    turned[0x0112] = 6
    file = io.BytesIO()
    sideways.save(file, "PNG", exif=turned)
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    (picture,) = opened(edit(http, image=url))
    assert (picture.getpixel((32, 5)), picture.getpixel((32, 60))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_odd_exif_block_is_no_reason_to_fail(http, kind):
    for number in range(40):
        luck = random.Random(number)
        file = io.BytesIO()
        SOURCE.save(file, kind, exif=b"Exif\0\0" + luck.choice((b"II*\0", b"MM\0*")) + luck.randbytes(60))
        url = f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
        assert edit(http, image=url, num_inference_steps=1).status_code in {200, 400}


def test_a_picture_of_sixteen_bits_keeps_its_shades(http):
    ramp = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1)))
    (picture,) = opened(edit(http, image=data_url(ramp)))
    assert [picture.getpixel((place, 9))[0] for place in (0, 32, 63)] == [0, 129, 255]


def test_small_strengths_show_previews_too(client):
    stream = client.images.edit(
        image=file_of(SOURCE), prompt="x", stream=True, partial_images=2, extra_body={"strength": 0.12}
    )
    assert [event.type for event in stream].count("image_edit.partial_image") == 2


def test_pictures_that_are_read_count_as_tokens(http):
    usage = edit(http, prompt="one two", n=2).json()["usage"]
    assert usage["input_tokens_details"] == {"image_tokens": 32, "text_tokens": 2}
    assert usage["total_tokens"] == 2 + 32 + 32


def test_a_stream_shows_previews_and_the_picture(client):
    stream = client.images.edit(image=file_of(SOURCE), prompt="x", stream=True, extra_body={"partial_images": 2})
    kinds = [event.type for event in stream]
    assert kinds == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]


def test_a_form_takes_loras_as_json_and_in_brackets(http):
    for fields in (
        {"loras": json.dumps([{"name": "ghost", "scale": 0.5}])},
        {"loras[][name]": "ghost", "loras[][scale]": "0.5"},
        {"lora[name]": "ghost"},
    ):
        answer = http.post(ROUTE, data={"prompt": "x"} | fields, files={"image": file_of(SOURCE)})
        assert answer.json()["error"]["code"] == "adapter_not_found", fields


def test_a_form_of_vllm_omnis_client_is_served(http):
    fields = {
        "prompt": "x",
        "size": "64x64",
        "response_format": "b64_json",
        "num_inference_steps": "3",
        "bot_task": "think",
    }
    files = [("image", ("a.png", file_of(SOURCE), "image/png")), ("image", ("b.png", file_of(SOURCE), "image/png"))]
    answer = http.post(ROUTE, data=fields, files=files)
    assert answer.status_code == 200, answer.text
    assert len(opened(answer)) == 2


def test_chat_starts_from_the_picture_in_the_message(http):
    parts = [{"type": "image_url", "image_url": {"url": data_url(SOURCE)}}, {"type": "text", "text": "x"}]
    body = {"messages": [{"role": "user", "content": parts}], "extra_body": {"strength": 0.2}}
    answer = http.post("/v1/chat/completions", json=body).json()
    url = answer["choices"][0]["message"]["content"][0]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert (picture.getpixel((9, 9)), answer["safelight"]["steps_run"]) == (RED, 5)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"image": "data:image/png;base64,AAAA"}, "image", "whole PNG, JPEG or WebP"),
        ({"image": "https://example.com/a.png"}, "image[0]", "match pattern"),
        ({"image": []}, "image", "at least 1 item"),
        ({"image": [data_url(SOURCE), "data:image/png;base64,AAAA"]}, "image[1]", "whole PNG, JPEG or WebP"),
        ({"mask": data_url(Image.new("RGB", (64, 64)))}, "mask", "keeps everything"),
        ({"mask": data_url(Image.new("RGBA", (64, 64), OPAQUE))}, "mask", "keeps everything"),
        ({"strength": 0}, "strength", "greater than 0"),
        ({"strength": 1.5}, "strength", "less than or equal to 1"),
        ({"strenght": 0.5}, "strenght", "did you mean 'strength'"),
        ({"image": [data_url(SOURCE)] * 4, "n": 3}, "n", "at most 10"),
        ({"stream": True, "n": 2}, "n", "n=1 and one image"),
        ({"image": None}, "image", "list"),
    ],
)
def test_what_cannot_be_is_refused_by_name(http, body, param, words):
    answer = edit(http, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert words in error["message"]


@pytest.mark.parametrize(
    ("fields", "files", "param", "words"),
    [
        ({"prompt": "x"}, {"picture": b"x"}, "image", "missing"),
        ({"prompt": ["x", "y"]}, {"image": file_of(SOURCE)}, "prompt", "2 times"),
        ({"prompt": "x", "loras": "{"}, {"image": file_of(SOURCE)}, "loras", "not valid JSON"),
        ({"prompt": "x", "seed": "seven"}, {"image": file_of(SOURCE)}, "seed", "valid integer"),
        (
            {"prompt": "x", "loras[][name]": ["a", "b"], "loras[][scale]": "1"},
            {"image": file_of(SOURCE)},
            "loras",
            "send loras as JSON",
        ),
    ],
)
def test_a_form_is_refused_by_name_too(http, fields, files, param, words):
    answer = http.post(ROUTE, data=fields, files=files)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert words in error["message"]


@pytest.mark.parametrize("content", [b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=", b"\xff" * 100])
def test_half_a_form_is_refused_and_the_server_goes_on(http, content):
    answer = http.post(ROUTE, content=content, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400, answer.text
    assert edit(http).status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b"[]", b'{"prompt": 1}', b"", b"[" * 200_000, b'{"seed": ' + b"9" * 5000 + b"}"],
    ids=lambda content: repr(content[:12]),
)
def test_half_a_document_is_refused(http, content):
    answer = http.post(ROUTE, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_form_without_its_end_is_refused(http):
    form = http.build_request("POST", ROUTE, data={"prompt": "x"}, files={"image": file_of(SOURCE)})
    form.read()
    headers = {"content-type": form.headers["content-type"]}
    assert http.post(ROUTE, content=form.content, headers=headers).status_code == 200
    answer = http.post(ROUTE, content=form.content[:-30], headers=headers)
    assert (answer.status_code, "its end is missing" in answer.json()["error"]["message"]) == (400, True)


def test_more_files_than_pictures_may_be_are_refused(http):
    files = [("image[]", (f"{number}.png", b"x", "image/png")) for number in range(20)]
    answer = http.post(ROUTE, data={"prompt": "x"}, files=files)
    assert answer.status_code == 400
    assert "form" in answer.json()["error"]["message"]


def test_an_edit_in_generations_is_pointed_out(client):
    with pytest.raises(openai.BadRequestError, match="There is no field 'strength'"):
        client.images.generate(prompt="x", extra_body={"strength": 0.5})


def test_the_log_keeps_no_pictures(http, quick):
    assert edit(http).status_code == 200
    assert "data:image" not in quick.log
