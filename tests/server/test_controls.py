"""Control pictures by HTTP: read, fitted, and refused in words that say what to do."""

import base64
import io

import pytest
from PIL import Image

from fakes.live_server import LiveServer, eventually, web
from safelight.core.errors import InvalidParameter
from safelight.server.wire.options import ControlChoice
from safelight.server.wire.pictures import read_controls
from safelight.service.pictures import MOST_PIXELS, fit

ROUTE = "/v1/images/generations"


def data_url(image, kind="png"):
    target = io.BytesIO()
    image.save(target, kind.upper())
    return f"data:image/{kind};base64,{base64.b64encode(target.getvalue()).decode()}"


DRAWING = data_url(Image.new("RGB", (20, 10), (255, 0, 0)))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"


@pytest.fixture(scope="module")
def server(tmp_path_factory, outcomes):
    folder = tmp_path_factory.mktemp("adapters")
    (folder / "control-edges").mkdir()
    (folder / "outline.safetensors").touch()
    with LiveServer(adapters=(folder,), outcomes=outcomes) as server:
        yield server


def paint(server, *controls, **body):
    return web.post(server.url + ROUTE, json={"prompt": "x", "controls": list(controls)} | body)


def test_provenance_names_the_control_nets_of_a_picture(server):
    answer = paint(server, {"name": "control-edges", "scale": 0.5, "image": DRAWING})
    assert answer.json()["safelight"]["controls"] == [{"name": "control-edges", "scale": 0.5}]


def test_chat_takes_control_pictures_too(server):
    body = {"messages": [{"role": "user", "content": "x"}], "controls": [{"name": "control-edges", "image": DRAWING}]}
    answer = web.post(f"{server.url}/v1/chat/completions", json=body)
    assert answer.json()["safelight"]["controls"] == [{"name": "control-edges", "scale": 1.0}]


def test_an_unknown_control_net_is_refused_with_the_nearest(server):
    error = paint(server, {"name": "control-edge", "image": DRAWING}).json()["error"]
    assert (error["code"], error["param"]) == ("adapter_not_found", "controls")
    assert "did you mean 'control-edges'" in error["message"]


def test_a_lora_is_no_control_net(server):
    answer = paint(server, {"name": "outline", "image": DRAWING})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "adapter_misfit")


def test_what_is_no_picture_is_refused_by_its_place(server):
    broken = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
    error = paint(server, {"name": "control-edges", "image": broken}).json()["error"]
    assert error["param"] == "controls[0].image"


@pytest.mark.parametrize("image", ["/etc/passwd", "http://127.0.0.1/a.png", "data:text/html;base64,AAAA"])
def test_paths_and_addresses_are_no_pictures(server, image):
    assert paint(server, {"name": "control-edges", "image": image}).status_code == 400


def test_the_outcome_log_keeps_no_pictures(server, outcomes):
    paint(server, {"name": "control-edges", "image": DRAWING}, seed=77)
    (kept,) = eventually(lambda: [line for line in server.outcomes(1) if line["seed"] == 77])
    assert kept["controlnets"] == [{"name": "control-edges", "scale": 1.0}]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_pictures_of_all_kinds_are_read(kind):
    choice = ControlChoice(name="edges", image=data_url(Image.new("RGB", (6, 4)), kind))
    (use,) = read_controls([choice])
    assert (use.image.width, use.image.height, len(use.image.rgb)) == (6, 4, 72)


def test_a_picture_cut_short_is_refused():
    whole = data_url(Image.effect_noise((64, 64), 50).convert("RGB"))
    with pytest.raises(InvalidParameter, match="whole PNG, JPEG or WebP"):
        read_controls([ControlChoice(name="edges", image=whole[: len(whole) // 8 * 4])])


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked():
    huge = data_url(Image.new("1", (MOST_PIXELS, 2)))
    with pytest.raises(InvalidParameter, match="at most"):
        read_controls([ControlChoice(name="edges", image=huge)])


def test_a_picture_is_fitted_to_the_size_of_the_order():
    (use,) = read_controls([ControlChoice(name="edges", image=DRAWING)])
    fitted = fit(use.image, (64, 32))
    assert (fitted.width, fitted.height, fitted.rgb[:3]) == (64, 32, b"\xff\x00\x00")
