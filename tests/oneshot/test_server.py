import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from safelight.api.errors import NotSafelight, RequestRefused, ServerUnreachable
from safelight.core.errors import WorkFailed
from safelight.oneshot.server import (
    announce_adapter,
    greet,
    paint_there,
    withdraw_adapter,
)

ORIGIN = {
    "model": "m",
    "steps": 4,
    "steps_run": 4,
    "seed": 7,
    "sampler": "euler",
    "guidance_scale": 3.0,
    "queue_s": 0.5,
    "compute_s": 1.5,
    "images": [{"id": "p", "seed": 7, "queue_s": 0.5, "compute_s": 1.5, "total_s": 2.0}],
    "more": None,
}
PARTIAL = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": ""}
COMPLETED = {
    "type": "image_generation.completed",
    "b64_json": base64.b64encode(b"a file").decode(),
    "safelight": ORIGIN,
}
ABILITIES = {
    "family": "sd3",
    "size": "64x64",
    "size_multiple": 16,
    "max_side": 128,
    "steps": 4,
    "guidance_scale": 3.0,
    "sampler": "euler",
    "samplers": ["euler"],
}
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "safelight": ABILITIES}]}


class CannedServer:
    """A real HTTP server that gives one answer to everything and remembers what it was sent."""

    def __init__(self, body, *, status=200):
        self.received = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                received.append((self.path, self.headers.get("Authorization"), self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the base class calls

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


def as_json(value):
    return json.dumps(value).encode()


def as_events(*values):
    return "".join(f"event: {value.get('type', 'error')}\ndata: {json.dumps(value)}\n\n" for value in values).encode()


def silent(done, total):
    pass


def paint(server, body=None, *, api_key=None, progress=silent):
    return paint_there(body or {"prompt": "a red circle"}, url=server.url, api_key=api_key, progress=progress)


def test_a_safelight_server_is_recognised_by_its_models():
    with CannedServer(as_json(MODELS)) as server:
        greet(server.url, api_key=None)
    assert server.received[0][0] == "/v1/models"


@pytest.mark.parametrize("body", [b"<html>", b"{}", as_json({"data": [{"id": "gpt"}]}), b"\xff\xfe"])
def test_another_server_is_not_taken_for_safelight(body):
    with CannedServer(body) as server, pytest.raises(NotSafelight, match=server.url):
        greet(server.url, api_key=None)


def test_a_port_where_nobody_listens_is_named():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(ServerUnreachable, match=url):
            greet(url, api_key=None)


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_is_named(url):
    with pytest.raises(ServerUnreachable, match="No server answers at"):
        greet(url, api_key=None)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_server_that_wants_a_key_is_quoted(status):
    said = as_json({"error": {"message": "Show a key."}})
    with CannedServer(said, status=status) as server, pytest.raises(RequestRefused, match=r"^Show a key\.$"):
        greet(server.url, api_key=None)


def test_the_key_is_shown():
    with CannedServer(as_events(COMPLETED)) as server:
        paint(server, api_key="secret")
    assert server.received[0][1] == "Bearer secret"


def test_the_picture_and_its_origin_are_read_from_the_stream():
    with CannedServer(as_events(PARTIAL, COMPLETED)) as server:
        painted = paint(server)
    assert painted.content == b"a file"
    assert (painted.model, painted.steps, painted.seed, painted.sampler) == ("m", 4, 7, "euler")
    assert (painted.by, painted.seconds) == (server.url, 2.0)


def test_previews_are_told_as_progress():
    told = []
    with CannedServer(as_events(PARTIAL, PARTIAL | {"partial_image_index": 1}, COMPLETED)) as server:
        paint(server, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (4, 4)]


def test_what_is_asked_for_reaches_the_server_with_a_wish_for_previews():
    with CannedServer(as_events(COMPLETED)) as server:
        paint(server, {"prompt": "a heart", "seed": 3})
    sent = json.loads(server.received[0][2])
    assert sent == {"prompt": "a heart", "seed": 3, "stream": True, "partial_images": 3}


@pytest.mark.parametrize(("status", "is_misuse"), [(400, True), (404, True), (429, False), (500, False)])
def test_a_refusal_is_quoted_and_says_whose_fault_it_is(status, is_misuse):
    said = as_json({"error": {"message": "No.", "code": None}})
    with CannedServer(said, status=status) as server, pytest.raises(RequestRefused, match=r"^No\.$") as refused:
        paint(server)
    assert refused.value.is_misuse is is_misuse


def test_a_refusal_without_words_is_still_a_refusal():
    with (
        CannedServer(b"<h1>Bad gateway</h1>", status=502) as server,
        pytest.raises(RequestRefused, match="does not say why"),
    ):
        paint(server)


def test_a_picture_given_up_midway_is_reported():
    given_up = {"error": {"message": "The denoiser failed.", "code": "failed"}}
    with CannedServer(as_events(PARTIAL, given_up)) as server, pytest.raises(WorkFailed, match="The denoiser failed"):
        paint(server)


def test_a_stream_that_ends_early_is_no_picture():
    with CannedServer(as_events(PARTIAL)) as server, pytest.raises(WorkFailed, match="hung up"):
        paint(server)


def test_an_adapter_is_announced_by_its_name():
    with CannedServer(b"{}") as server:
        announce_adapter("glow", url=server.url, api_key="secret")
    assert server.received == [("/v1/adapters", "Bearer secret", b'{"name":"glow"}')]


def test_a_server_that_will_not_have_an_adapter_is_quoted():
    said = as_json({"error": {"message": "It fits no model."}})
    with CannedServer(said, status=400) as server, pytest.raises(RequestRefused, match=r"^It fits no model\.$"):
        announce_adapter("glow", url=server.url, api_key=None)


def test_an_adapter_is_withdrawn_by_its_name():
    with CannedServer(b"{}") as server:
        withdraw_adapter("a name?", url=server.url, api_key=None)
    assert server.received[0][0] == "/v1/adapters/a%20name%3F"


def test_an_adapter_that_a_server_does_not_know_is_as_good_as_withdrawn():
    with CannedServer(b"{}", status=404) as server:
        withdraw_adapter("glow", url=server.url, api_key=None)
    assert len(server.received) == 1


def test_a_server_that_keeps_an_adapter_is_quoted():
    said = as_json({"error": {"message": "Show a key."}})
    with CannedServer(said, status=401) as server, pytest.raises(RequestRefused, match=r"^Show a key\.$"):
        withdraw_adapter("glow", url=server.url, api_key=None)


def test_a_picture_to_start_from_goes_to_the_edits():
    completed = COMPLETED | {"type": "image_edit.completed"}
    with CannedServer(as_events(completed)) as server:
        assert paint(server, {"prompt": "x", "image": ["data:image/png;base64,AAAA"]}).content == b"a file"
    assert server.received[0][0] == "/v1/images/edits"
