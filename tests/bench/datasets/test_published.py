"""Published files come once, whole and from where they are published, or not at all."""

import asyncio
import hashlib
import json
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bench.makers import NOWHERE, dataset_options, sources_at
from fakes import odd_server as odd
from fakes.odd_server import answer, odd_server, saying
from safelight.bench.datasets.published import PUBLISHED, SITES, Sources
from safelight.bench.datasets.registry import load_dataset
from safelight.bench.errors import BadLoad

LINE = (
    "Request(request_id={0}, timestamp={0}.5, height=64, width=96, num_frames=1, prompt='a lighthouse', "
    "negative_prompt='blurry', num_inference_steps=50)\n"
)
TRACE = "".join(map(LINE.format, range(9))).encode()
PROMPTS = b"a lighthouse\na ship that turns\n"
LISTED = json.dumps([{"prompt_en": "a lighthouse", "dimension": ["i2v_background"], "image_name": "a.jpg"}]).encode()
HUB = "/datasets/asukaqaqzz/Dit_Trace/resolve/main"
CONTENTS = {
    f"{HUB}/sd3_trace.txt": TRACE,
    f"{HUB}/cogvideox_trace.txt": TRACE,
    "/Vchitect/VBench/master/prompts/prompts_per_dimension/subject_consistency.txt": PROMPTS,
    "/Vchitect/VBench/master/vbench2_beta_i2v/vbench2_i2v_full_info.json": LISTED,
}


@asynccontextmanager
async def library(*, tls=None, leads_to=None):
    """All published files, or redirects to another library; yields its address, and what was asked for."""
    asked = []

    async def give(request):
        asked.append(request.path)
        if leads_to is not None:
            raise web.HTTPFound(leads_to + request.path)
        return web.Response(body=CONTENTS[request.path], content_type="text/plain")

    runner = web.ServerRunner(web.Server(give))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def reading(dataset, **more):
    return asyncio.to_thread(load_dataset, dataset, dataset_options(**more))


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("dataset", "task"), PUBLISHED)
def test_a_file_is_fetched_once_and_then_read_without_a_network(dataset, task, tmp_path):
    async def main():
        async with library() as (url, asked_for):
            first = await reading(dataset, task=task, sources=sources_at(url, tmp_path))
            again = await reading(dataset, task=task, sources=sources_at(url, tmp_path))
        offline = sources_at(NOWHERE, tmp_path, is_offline=True)
        return first, [again, await reading(dataset, task=task, sources=offline)], asked_for

    first, later, asked_for = asyncio.run(main())
    (path,), (asked,) = files_in(tmp_path), asked_for
    assert path.read_bytes() == CONTENTS[asked]
    assert first.sha256 == hashlib.sha256(CONTENTS[asked]).hexdigest()
    assert all((each.requests, each.sha256) == (first.requests, first.sha256) for each in later)
    assert asked in first.notes[0]
    for each in (first, *later):
        assert str(path) in each.notes[0]
        assert first.sha256 in each.notes[0]


def test_that_pictures_of_vbench_are_not_fetched_is_told(tmp_path):
    async def main():
        async with library() as (url, _):
            return [await reading("vbench", task=task, sources=sources_at(url, tmp_path)) for task in ("i2v", "t2v")]

    from_pictures, from_words = asyncio.run(main())
    assert any("--input-image" in note for note in from_pictures.notes)
    assert not any("--input-image" in note for note in from_words.notes)


async def never_end(reader, writer):
    await odd.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        await writer.drain()


BAD = {
    "missing": (saying(answer("Entry not found", status="404 Not Found")), "404 Not Found"),
    "closed to the public": (saying(answer("", status="401 Unauthorized")), "401"),
    "an empty answer": (saying(answer("", status="204 No Content")), "204"),
    "one good line, and one that is none": (saying(answer(LINE.format(0) + "\0 {}\n")), "not that file"),
    "a page": (saying(answer("<!DOCTYPE html>\n<html>\nSign in\n", kind="text/html")), "DOCTYPE"),
    "an error as JSON": (saying(answer('{"error": "no"}')), "error"),
    "nothing": (saying(answer("")), "not that file"),
    "no prompt": (saying(answer("\n\n")), "not that file"),
    "binary": (saying(answer(b"\x1f\x8b\xff\x00")), "not that file"),
    "too large, as told": (saying(answer("x", length=1 << 30)), "bytes that are taken"),
    "too large, untold": (never_end, "bytes that are taken"),
    "cut short": (odd.close_half_way, "complete message body"),
    "no answer": (odd.hang, "nothing came within 0.2 s"),
    "never whole": (odd.drip, "not whole within 0.2 s"),
    "closed at once": (odd.close_at_once, "disconnected"),
    "reset": (odd.reset, "reset"),
    "no HTTP": (saying(b"+PONG\r\n\r\n"), "illegal"),
    "round and round": (saying(answer("", status="302 Found", Location="/again")), "redirects"),
    "a way to nowhere": (saying(answer("", status="302 Found", Location=NOWHERE)), "refused"),
}

PATIENCE = {"no answer": {"silence_s": 0.2}, "never whole": {"longest_s": 0.2}}


@pytest.mark.parametrize("dataset", ["trace", "vbench"])
@pytest.mark.parametrize("name", BAD)
def test_what_does_not_come_leaves_nothing_behind_and_says_what_to_do(dataset, name, tmp_path):
    behaviour, words = BAD[name]

    async def main():
        async with odd_server(behaviour) as url:
            await reading(dataset, sources=sources_at(url, tmp_path, **PATIENCE.get(name, {})))

    with pytest.raises(BadLoad, match="--dataset-path") as error:
        asyncio.run(main())
    assert words in str(error.value)
    assert "--dataset random" in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (NOWHERE, "Connection refused"),
        ("http://nowhere.invalid", "could not be fetched"),
        ("hf-mirror", "http"),
        ("http://127.0.0.1:port", "port"),
    ],
)
def test_an_address_that_cannot_be_reached_is_told(url, words, tmp_path):
    with pytest.raises(BadLoad, match="safelight trace synthesize") as error:
        load_dataset("trace", dataset_options(sources=sources_at(url, tmp_path)))
    assert words in str(error.value)
    assert files_in(tmp_path) == []


def test_a_proxy_that_cannot_be_used_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("all_proxy", "gopher://127.0.0.1")
    with pytest.raises(BadLoad, match="proxy"):
        load_dataset("trace", dataset_options(sources=sources_at("http://nowhere.invalid", tmp_path)))


def test_a_password_in_the_address_is_not_told(tmp_path):
    with pytest.raises(BadLoad, match=r"http://127\.0\.0\.1:9/datasets") as error:
        load_dataset("trace", dataset_options(sources=sources_at("http://me:s3cret@127.0.0.1:9", tmp_path)))
    assert "s3cret" not in str(error.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls(certificate, monkeypatch):
    """What a server needs to be trusted by clients of this process."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.mark.parametrize(("is_first", "is_second"), [(True, True), (False, True), (False, False)])
def test_a_redirect_is_followed(is_first, is_second, tls, tmp_path):
    async def main():
        async with (
            library(tls=tls if is_second else None) as (there, asked_there),
            library(tls=tls if is_first else None, leads_to=there) as (here, _),
        ):
            await reading("trace", sources=sources_at(here, tmp_path))
            return asked_there

    assert asyncio.run(main()) == [f"{HUB}/sd3_trace.txt"]


def test_a_redirect_from_tls_to_plain_http_is_not_followed(tls, tmp_path):
    async def main():
        async with library() as (there, asked_there), library(tls=tls, leads_to=there) as (here, _):
            with pytest.raises(BadLoad, match="is not https"):
                await reading("trace", sources=sources_at(here, tmp_path))
            return asked_there

    assert asyncio.run(main()) == []
    assert files_in(tmp_path) == []


def test_a_server_that_nobody_vouches_for_is_not_believed(tls, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")

    async def main():
        async with library(tls=tls) as (url, _):
            with pytest.raises(BadLoad, match="CERTIFICATE_VERIFY_FAILED"):
                await reading("trace", sources=sources_at(url, tmp_path))

    asyncio.run(main())
    assert files_in(tmp_path) == []


def test_many_may_fetch_at_once(tmp_path):
    async def main():
        async with library() as (url, _):
            return await asyncio.gather(*(reading("trace", sources=sources_at(url, tmp_path)) for _ in range(8)))

    assert len({each.sha256 for each in asyncio.run(main())}) == 1
    assert [path.name for path in files_in(tmp_path)] == ["sd3_trace.txt"]


def test_a_task_without_a_trace_is_told_which_have_one(tmp_path):
    with pytest.raises(BadLoad, match="only for t2i and t2v") as error:
        load_dataset("trace", dataset_options(task="i2v", sources=sources_at(NOWHERE, tmp_path)))
    assert "--dataset-path" in str(error.value)


def test_nothing_is_fetched_offline(tmp_path):
    async def main():
        async with library() as (url, asked_for):
            with pytest.raises(BadLoad, match="HF_HUB_OFFLINE"):
                await reading("vbench", sources=sources_at(url, tmp_path, is_offline=True))
            return asked_for

    assert asyncio.run(main()) == []


def test_a_cache_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    for cache in (tmp_path / "file" / "cache", None):
        with pytest.raises(BadLoad, match="XDG_CACHE_HOME"):
            load_dataset("trace", dataset_options(sources=sources_at(NOWHERE, cache)))


def test_the_environment_says_where_from_and_where_to(tmp_path):
    plain = Sources.of({})
    assert (plain.sites, plain.is_offline) == (SITES, False)
    mirrored = Sources.of({"HF_ENDPOINT": "https://mirror/", "XDG_CACHE_HOME": str(tmp_path), "HF_HUB_OFFLINE": "true"})
    assert mirrored.sites == {**SITES, "hub": "https://mirror"}
    assert (mirrored.cache, mirrored.is_offline) == (tmp_path / "safelight", True)
    assert Sources.of({"XDG_CACHE_HOME": "here"}).cache == Path.home() / ".cache" / "safelight"
