"""Two hundred pictures at once with many LoRAs, while LoRAs come and go: each is what it is alone."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import safelight
from fakes.live_server import LiveServer, eventually, web
from safelight.local.adapter_folder import find_adapters

MODELS = Path(safelight.__file__).parent / "models"
STYLES = ("outline", "pastel", "night", "rose", "mint", "sunset", "spotlight", "neon")
LEAVING = "rose"
REQUESTS, COMPARED = 200, 24
ONE_BYTE = 1


def wish(number):
    """Return a request of two steps with none to three LoRAs; those compared name none that leaves."""
    luck = np.random.default_rng(number)
    names = [name for name in STYLES if name != LEAVING or number >= COMPARED]
    chosen = luck.choice(names, size=int(luck.integers(0, 4)))
    return {
        "prompt": "a large red circle left of a small blue star",
        "seed": number,
        "num_inference_steps": 2,
        "guidance_scale": (1.0, 2.5)[number % 2],
        "sampler": "euler",
        "loras": [{"name": str(name), "scale": round(float(luck.uniform(-0.5, 1.2)), 2)} for name in chosen],
        "response_format": "url",
    }


def paint(server, number):
    return web.post(f"{server.url}/v1/images/generations", json=wish(number))


def pixels(server, answer):
    content = web.get(answer.json()["data"][0]["url"]).content
    return np.asarray(Image.open(io.BytesIO(content))).astype(np.int16)


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """Pictures of some requests alone, and the answers to all of them at once."""
    spare = tmp_path_factory.mktemp("spare")
    (spare / "late.safetensors").write_bytes((MODELS / "adapters" / "mint.safetensors").read_bytes())
    argv = (sys.executable, "-m", "safelight.worker", "--model", str(MODELS / "shapes-large"))
    with LiveServer(worker_argv=argv, adapters=(MODELS / "adapters", spare), max_waiting=REQUESTS) as server:
        eventually(lambda: not server.state.service.controller.refusal)
        assert set(STYLES) <= set(find_adapters(server.settings.adapters))
        web.delete(f"{server.url}/v1/adapters/late").raise_for_status()
        alone = [pixels(server, paint(server, number)) for number in range(COMPARED)]
        with ThreadPoolExecutor(REQUESTS) as pool:
            answers = [pool.submit(paint, server, number) for number in range(REQUESTS)]
            changes = [
                web.delete(f"{server.url}/v1/adapters/{LEAVING}"),
                web.post(f"{server.url}/v1/adapters", json={"name": "late"}),
                web.delete(f"{server.url}/v1/adapters/late"),
                web.post(f"{server.url}/v1/adapters", json={"name": LEAVING}),
            ]
            answered = [answer.result() for answer in answers]
        together = [pixels(server, answer) for answer in answered[:COMPARED]]
        listed = web.get(f"{server.url}/v1/adapters").json()["data"]
    return alone, together, answered, changes, listed


def test_every_request_is_painted_or_told_that_its_lora_has_left(storm):
    for number, answer in enumerate(storm[2]):
        names = {lora["name"] for lora in wish(number)["loras"]}
        assert answer.status_code == 200 or (LEAVING in names and answer.json()["error"]["code"] == "adapter_not_found")


def test_nothing_leaks_into_a_neighbours_picture(storm):
    alone, together, *_ = storm
    assert max(np.abs(first - second).max() for first, second in zip(alone, together, strict=True)) <= ONE_BYTE


def test_loras_came_and_went_meanwhile(storm):
    assert [change.status_code for change in storm[3]] == [200] * 4


def test_in_the_end_nothing_is_in_use(storm):
    assert {card["pictures"] for card in storm[4]} == {0}
