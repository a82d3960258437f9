"""Whatever a server does to a request is told as what it is."""

import asyncio
import base64
import io
import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from bench.makers import make_config, make_requests, ran
from fakes import odd_server as odd
from fakes.odd_server import answer, odd_server, picture, saying
from safelight.bench.endpoints.chat import Chat
from safelight.bench.endpoints.generations import StreamedGenerations
from safelight.bench.errors import ServerUnusable
from safelight.bench.failures import KINDS
from safelight.bench.load.runner import run
from safelight.bench.null_server import png_of


def b64(data):
    return base64.b64encode(data).decode()


PNG = png_of("a", 64, 64)
SERVERS = {
    "hanging": (odd.hang, "timeout"),
    "closing at once": (odd.close_at_once, "closed"),
    "closing half way": (odd.close_half_way, "closed"),
    "resetting": (odd.reset, "closed"),
    "dripping": (odd.drip, "slow_body"),
    "another protocol": (odd.greet_like_ssh, "not_http"),
    "no HTTP in answer": (saying(b"+PONG\r\n\r\n"), "not_http"),
    "HTML": (saying(answer("<!DOCTYPE html><html>Welcome</html>", kind="text/html")), "html"),
    "plain text": (saying(answer("fine", kind="text/plain")), "not_json"),
    "JSON as text": (saying(answer(picture(), kind="text/plain")), "wrong_type"),
    "JSON cut short": (saying(answer(picture()[:100])), "not_json"),
    "JSON of another kind": (saying(answer('{"data": 3}')), "not_json"),
    "not UTF-8": (saying(answer(b'{"data": "\xff\xfe"}')), "not_json"),
    "error in a 200": (saying(answer('{"error": {"message": "out of memory"}}')), "error_body"),
    "no picture": (saying(answer('{"data": []}')), "no_picture"),
    "base64 cut short": (saying(answer(picture(data=[{"b64_json": b64(PNG)[:-3]}]))), "bad_base64"),
    "no base64": (saying(answer(picture(data=[{"b64_json": "???"}]))), "bad_base64"),
    "picture cut short": (saying(answer(picture(data=[{"b64_json": b64(PNG[:60])}]))), "damaged"),
    "no picture in base64": (saying(answer(picture(data=[{"b64_json": b64(b"hello there")}]))), "damaged"),
    "another size": (saying(answer(picture(data=[{"b64_json": b64(png_of("a", 32, 64))}]))), "wrong_size"),
    "another format": (saying(answer(picture(output_format="webp"))), "wrong_format"),
    "redirect": (saying(answer("", status="302 Found", Location="http://example.com/")), "redirected"),
    "429": (saying(answer("{}", status="429 Too Many Requests", Retry_After="3")), "rejected"),
    "503": (saying(answer("<html>", status="503 Service Unavailable", kind="text/html")), "unavailable"),
    "404": (saying(answer('{"detail": "Not Found"}', status="404 Not Found")), "refused_request"),
    "500": (saying(answer("oops", status="500 Internal Server Error", kind="text/plain")), "server_error"),
    "429 cut short": (saying(answer("{", status="429 Too Many Requests", length=100)), "rejected"),
    "999": (saying(answer("{}", status="999 Whatever")), "bad_status"),
    "202": (saying(answer("{}", status="202 Accepted")), "bad_status"),
    "too large": (saying(answer("x", length=1 << 40)), "too_large"),
}


@pytest.mark.parametrize(("behaviour", "kind"), SERVERS.values(), ids=SERVERS)
def test_each_way_to_fail_is_told_by_its_kind(behaviour, kind):
    done = ran(odd_server(behaviour), make_requests(1), timeout_s=0.4)
    assert [(record.failure, bool(record.message)) for record in done.records] == [(kind, True)]


def test_a_picture_whose_figures_are_of_another_kind_is_a_picture():
    odd_figures = {"stage_durations": {"a": "0.5", "b": 1.0}, "peak_memory_mb": [1], "inference_time_s": 1e300}
    done = ran(odd_server(saying(answer(picture(metrics=odd_figures)))), make_requests(1))
    assert [(record.failure, record.stages_s, record.peak_memory_mb) for record in done.records] == [
        ("", {"b": 1.0}, None)
    ]


def test_a_picture_that_is_told_by_its_address_is_none():
    content = [{"type": "image_url", "image_url": {"url": "http://pictures.example/1.png"}}]
    said = json.dumps({"choices": [{"message": {"content": content}}]})
    done = ran(odd_server(saying(answer(said))), make_requests(1), endpoint=Chat())
    assert (done.records[0].failure, "http://pictures.example" in done.records[0].message) == ("no_picture", True)


def test_a_blank_picture_is_no_success():
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "PNG")
    done = ran(odd_server(saying(answer(picture(data=[{"b64_json": b64(file.getvalue())}])))), make_requests(1))
    assert done.records[0].failure == "blank"


def test_the_same_picture_for_another_prompt_is_no_success():
    done = ran(odd_server(saying(answer(picture()))), make_requests(3, every_s=0.05))
    assert [record.failure for record in done.records] == ["", "repeated", "repeated"]


def test_pictures_are_taken_as_they_come_where_nobody_checks():
    done = ran(odd_server(saying(answer(picture(data=[{"b64_json": "???"}])))), make_requests(2), checks_pictures=False)
    assert all(record.is_success for record in done.records)


def test_a_server_that_is_down_refuses():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = asyncio.run(run(make_config(url, make_requests(2))))
    assert [record.failure for record in done.records] == ["refused", "refused"]


def test_a_host_without_an_address_is_told():
    done = asyncio.run(run(make_config("http://no-such-host.invalid", make_requests(1))))
    assert done.records[0].failure == "unresolved"


def test_plain_http_where_tls_is_wanted_is_told():
    async def main():
        async with odd_server(odd.answer_anything) as url:
            return await run(make_config(url.replace("http:", "https:"), make_requests(1), timeout_s=5.0))

    assert asyncio.run(main()).records[0].failure == "tls"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_nobody_vouches_for_is_told(certificate):
    async def main():
        async def serve(reader, writer):
            await saying(answer(picture()))(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done = await run(make_config(url, make_requests(1), timeout_s=5.0))
        server.close()
        return done

    assert asyncio.run(main()).records[0].failure == "tls"


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"", "no_picture"),
        (b"data: {broken\n\n", "not_json"),
        (b'data: {"error": {"message": "no"}}\n\n', "error_body"),
        (b"data: [DONE]\n\n", "no_picture"),
    ],
)
def test_a_stream_without_a_picture_is_told(stream, kind):
    behaviour = saying(answer(stream, kind="text/event-stream"))
    done = ran(odd_server(behaviour), make_requests(1), endpoint=StreamedGenerations())
    assert done.records[0].failure == kind


def test_chat_that_answers_in_words_has_no_picture():
    words = json.dumps({"choices": [{"message": {"content": "I cannot draw."}}]})
    done = ran(odd_server(saying(answer(words))), make_requests(1), endpoint=Chat())
    assert done.records[0].failure == "no_picture"


def test_when_no_warm_up_is_served_the_run_does_not_begin():
    with pytest.raises(ServerUnusable, match="HTML"):
        ran(odd_server(SERVERS["HTML"][0]), make_requests(2), warm_up_rounds=1)


def test_a_server_without_room_is_asked_again_when_it_says():
    turns = iter([answer("{}", status="429 Too Many Requests", Retry_After="0.01"), answer(picture())])

    async def once_full(reader, writer):
        while True:
            await odd.read_request(reader)
            writer.write(next(turns))

    done = ran(odd_server(once_full), make_requests(1), retries=1)
    assert (done.records[0].failure, done.records[0].turned_away) == ("", 1)


def test_every_kind_of_failure_has_a_meaning_and_the_page_tells_it():
    page = (Path(__file__).parents[3] / "docs" / "bench.md").read_text(encoding="utf-8")
    table = page.partition("| kind of failure |")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    assert dict(rows) == KINDS
    assert all(KINDS.values())
