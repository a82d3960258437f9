import asyncio
import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

import safelight
from fakes.live_server import LiveServer, eventually
from safelight import AsyncClient, Client, Picture, Preview
from safelight.api.errors import (
    ConnectionLost,
    NotSafelight,
    RequestRefused,
    ServerBusy,
    ServerTimeout,
    ServerUnreachable,
)
from safelight.core.errors import InvalidParameter, WorkFailed

SLOW_S = 0.02
GREY, RED = (128, 128, 128), (255, 0, 0)
RED_IMAGE = Image.new("RGB", (64, 64), RED)


def saved(image, kind):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def server():
    with LiveServer(workers=1) as live:
        yield live


@pytest.fixture(scope="module")
def slow_server():
    with LiveServer(workers=1, step_s=SLOW_S, max_waiting=1) as live:
        yield live


@pytest.fixture
def client(server):
    with Client(server.url) as client:
        yield client


@pytest.fixture
def slow_client(slow_server):
    with Client(slow_server.url) as client:
        yield client


class HangingUp:
    """A server that closes the first connections without an answer, then gives `{}`; remembers the keys it was sent."""

    def __init__(self, *, hang_ups):
        self.keys = keys = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                keys.append(self.headers.get("Idempotency-Key"))
                if len(keys) > hang_ups:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")
                self.close_connection = True

            do_GET = do_POST = answer  # noqa: N815 - the names that the base class calls

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_a_picture_is_a_file_of_the_asked_size(client):
    (picture,) = client.generate("a red circle", size=(32, 48))
    assert (picture.media_type, picture.image.format, picture.image.size) == ("image/png", "PNG", (32, 48))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_has_the_asked_format(client, kind):
    (picture,) = client.generate("a red circle", output_format=kind)
    assert (picture.media_type, picture.image.format) == (f"image/{kind}", kind.upper())


def test_a_picture_is_saved_as_it_is(client, tmp_path):
    (picture,) = client.generate("a red circle")
    assert picture.save(tmp_path / "circle.png").read_bytes() == picture.content


def test_several_pictures_have_seeds_that_count_up(client):
    pictures = client.generate("a red circle", n=3, seed=7)
    assert [picture.seed for picture in pictures] == [7, 8, 9]


def test_the_provenance_says_what_was_asked_for(client):
    (picture,) = client.generate(
        "a red circle", model="null-small", steps=3, guidance_scale=2.0, sampler="ddim", seed=1, deadline_s=600
    )
    made = picture.provenance
    assert (made.model, made.steps, made.guidance_scale, made.sampler) == ("null-small", 3, 2.0, "ddim")
    assert made.images[0].id == picture.id


def test_an_option_that_is_none_is_the_servers_choice(client):
    (picture,) = client.generate("a red circle", steps=None, model=None, size=None, loras=None)
    assert picture.provenance.steps == 25


def test_an_unknown_option_is_named(client):
    with pytest.raises(TypeError, match="no option 'stepz'"):
        client.generate("a red circle", stepz=3)


@pytest.mark.parametrize("give", [Path.read_bytes, Path, str], ids=["file", "path", "text"])
def test_an_image_is_given_as_a_file_or_a_path(client, tmp_path, give):
    path = tmp_path / "image"
    path.write_bytes(saved(RED_IMAGE, "PNG"))
    (picture,) = client.edit("a red circle", give(path), strength=0.5)
    assert picture.image.getpixel((0, 0)) == RED


def test_an_image_is_given_as_pillow_has_it_or_as_a_picture(client):
    (picture,) = client.edit("a red circle", RED_IMAGE, strength=0.5)
    (again,) = client.edit("a red circle", picture, strength=0.5)
    assert again.image.getpixel((0, 0)) == RED


def test_of_several_images_each_gives_a_picture(client):
    assert len(client.edit("a red circle", [RED_IMAGE, RED_IMAGE])) == 2


def test_only_the_masked_part_of_an_image_changes(client):
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    (picture,) = client.edit("a red circle", RED_IMAGE, mask=mask)
    assert (picture.image.getpixel((8, 8)), picture.image.getpixel((56, 8))) == (GREY, RED)


def test_a_file_that_is_no_picture_is_not_sent(client):
    with pytest.raises(InvalidParameter, match="image"):
        client.edit("a red circle", b"GIF89a")


def test_a_stream_shows_previews_and_then_the_picture(slow_client):
    shown = list(slow_client.stream("a red circle", previews=2, seed=4))
    assert [type(one) for one in shown] == [Preview, Preview, Picture]
    assert [one.index for one in shown[:2]] == [0, 1]
    assert shown[0].image.size == shown[2].image.size == (64, 64)
    assert shown[2].seed == 4


def test_a_stream_may_start_from_an_image(client):
    *_, picture = client.stream("a red circle", RED_IMAGE, strength=0.5)
    assert picture.image.getpixel((0, 0)) == RED


def test_a_stream_that_is_closed_early_cancels_its_picture(slow_server, slow_client):
    stream = slow_client.stream("a red circle", steps=200, previews=3)
    next(stream)
    stream.close()
    assert eventually(lambda: not slow_server.waiting_and_running)


def test_models_tell_what_they_can_do(client):
    large, small = client.models()
    assert (large.name, small.name) == ("null-large", "null-small")
    assert (large.size, large.steps, large.samplers) == ("64x64", 25, ("ddim", "euler", "dpm++2m"))


def test_adapters_are_listed_and_used_by_name(tmp_path):
    (tmp_path / "glow.safetensors").write_bytes(b"weights")
    (tmp_path / "control-edges.safetensors").write_bytes(b"weights")
    with LiveServer(workers=1, adapters=(tmp_path,)) as server, Client(server.url) as client:
        eventually(lambda: len(client.adapters()) == 2)
        kinds = {adapter.name: adapter.kind for adapter in client.adapters()}
        (picture,) = client.generate("x", loras={"glow": 0.5}, controlnets={"control-edges": (RED_IMAGE, 0.7)})
        (plain,) = client.generate("x", loras=["glow"], controlnets={"control-edges": RED_IMAGE})
    assert kinds == {"glow": "lora", "control-edges": "controlnet"}
    assert [(use.name, use.scale) for use in picture.provenance.loras] == [("glow", 0.5)]
    assert [(use.name, use.scale) for use in picture.provenance.controls] == [("control-edges", 0.7)]
    assert [use.scale for use in (*plain.provenance.loras, *plain.provenance.controls)] == [1.0, 1.0]


def test_a_picture_in_the_queue_can_be_cancelled(slow_client):
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(slow_client.generate, "a red circle", steps=200)
        (queued,) = eventually(lambda: slow_client.queue().pictures)
        slow_client.cancel(queued.id)
        with pytest.raises(WorkFailed, match="cancelled") as failed:
            waiting.result()
    assert (queued.prompt, queued.steps, failed.value.reason) == ("a red circle", 200, "cancelled")


def test_cancelling_what_is_not_there_is_refused(client):
    with pytest.raises(RequestRefused, match=r"no picture 'a b\?'") as refused:
        client.cancel("a b?")
    assert (refused.value.status, refused.value.is_misuse) == (404, True)


def test_a_wrong_request_is_refused_in_the_servers_words(client):
    with pytest.raises(RequestRefused, match="No sampler named 'magic'") as refused:
        client.generate("a red circle", sampler="magic")
    assert (refused.value.status, refused.value.param, refused.value.is_misuse) == (400, "sampler", True)


def test_a_deadline_that_cannot_be_met_says_when_to_try_again(slow_client):
    with pytest.raises(ServerBusy, match="wanted within") as busy:
        slow_client.generate("a red circle", steps=200, deadline_s=0.1)
    assert (busy.value.status, busy.value.code) == (429, "deadline_unmeetable")
    assert busy.value.retry_after_s >= 1


def test_the_key_is_shown():
    with LiveServer(workers=1, api_key="secret") as server:
        with Client(server.url, api_key="secret") as client:
            assert client.models()
        with Client(server.url) as client, pytest.raises(RequestRefused) as refused:
            client.models()
    assert refused.value.status == 401


def test_a_port_where_nobody_listens_is_named():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with Client(url) as client, pytest.raises(ServerUnreachable, match=f"{url}.*safelight serve"):
            client.models()


def test_a_silent_server_is_waited_for_no_longer_than_allowed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, timeout_s=0.05) as client, pytest.raises(ServerTimeout, match=r"nothing for 0\.05 s"):
            client.models()


def test_a_request_whose_connection_is_lost_is_sent_again_under_its_key():
    with HangingUp(hang_ups=1) as server, Client(server.url) as client, pytest.raises(NotSafelight):
        client.generate("a red circle")
    assert len(server.keys) == 2
    assert server.keys[0] == server.keys[1] != None  # noqa: E711 - all three at once


def test_a_connection_that_is_lost_again_is_reported():
    with HangingUp(hang_ups=2) as server, Client(server.url) as client, pytest.raises(ConnectionLost, match=server.url):
        client.generate("a red circle")
    assert len(server.keys) == 2


def test_what_has_no_key_is_not_sent_again():
    with HangingUp(hang_ups=1) as server, Client(server.url) as client, pytest.raises(ConnectionLost):
        client.cancel("one")
    assert server.keys == [None]


def test_two_requests_have_different_keys():
    with HangingUp(hang_ups=0) as server, Client(server.url) as client:
        for _ in range(2):
            with pytest.raises(NotSafelight):
                client.generate("a red circle")
    assert len(set(server.keys)) == 2


def test_the_asynchronous_client_does_the_same(slow_server):
    async def everything():
        async with AsyncClient(slow_server.url) as client:
            (picture,) = await client.generate("a red circle", steps=2, seed=3)
            (edited,) = await client.edit("a red circle", picture, steps=2)
            shown = [one async for one in client.stream("a red circle", previews=1)]
            with pytest.raises(RequestRefused):
                await client.cancel("nothing")
            return picture, edited, shown, await client.models(), await client.adapters(), await client.queue()

    picture, edited, shown, models, adapters, queue = asyncio.run(everything())
    assert (picture.seed, edited.image.size) == (3, (64, 64))
    assert [type(one) for one in shown] == [Preview, Picture]
    assert ([model.name for model in models], adapters) == (["null-large", "null-small"], [])
    assert (queue.waiting, queue.running) == (0, 0)


def test_asynchronous_requests_run_at_the_same_time(slow_server):
    async def two():
        async with AsyncClient(slow_server.url) as client:
            await asyncio.gather(*(client.generate("a red circle", steps=4) for _ in range(2)))

    asyncio.run(two())


def test_the_package_offers_what_it_lists():
    assert all(getattr(safelight, name) is not None for name in safelight.__all__)


def test_a_name_that_the_package_does_not_have_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = safelight.Nonsense
