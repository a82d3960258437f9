"""Servers that answer in ways that clients meet sooner or later, each a few bytes over a bare socket."""

import asyncio
import base64
import json
import struct
from contextlib import asynccontextmanager

from safelight.bench.null_server import png_of

GOOD = {
    "data": [{"b64_json": base64.b64encode(png_of("a", 64, 64)).decode()}],
    "output_format": "png",
}


def answer(body, *, status="200 OK", kind="application/json", length=None, **headers):
    """Return a whole answer; `length` tells another length than the body has."""
    body = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": kind, "Content-Length": len(body) if length is None else length}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + body


def picture(**changes):
    """Return the JSON of a good answer, with changes."""
    return json.dumps(GOOD | changes)


def chunk(data):
    """Return data as a chunk of a body; without any, the body's end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read_request(reader):
    """Read one request; returns its first line and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    return head.split(b"\r\n")[0].decode(), await reader.readexactly(sum(lengths))


def saying(data):
    """Answer every request with these bytes."""

    async def say(reader, writer):
        while True:
            await read_request(reader)
            writer.write(data)

    return say


def giving_video(file):
    """Take every job for a video, which is this file."""

    async def give(reader, writer):
        while True:
            line, _ = await read_request(reader)
            is_content = line.startswith("GET") and "/content" in line
            writer.write(answer(file if is_content else '{"id": "v", "status": "completed"}'))

    return give


async def hang(reader, writer):
    """Never answer."""
    await reader.read()


async def close_at_once(reader, writer):
    """Close when a request has come."""
    await read_request(reader)


async def close_half_way(reader, writer):
    """Send less than was told, and close."""
    await read_request(reader)
    writer.write(answer(picture()[:50], length=5000))


async def reset(reader, writer):
    """Reset the connection."""
    await read_request(reader)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
    writer.transport.abort()


async def drip(reader, writer):
    """Send a byte now and then."""
    await read_request(reader)
    writer.write(answer("", length=5000))
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def answer_anything(reader, writer):
    """Complain in HTTP of whatever comes."""
    await reader.read(1)
    writer.write(answer("", status="400 Bad Request"))


async def greet_like_ssh(reader, writer):
    """Speak another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await reader.read()


@asynccontextmanager
async def odd_server(behaviour):
    """Serve on a free port; yields the address."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await behaviour(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
