"""Clients that mean harm: silent connections, half bodies, and a body of each hostile kind."""

import contextlib
import socket
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

PATH = "/v1/images/generations"
EDITS = "/v1/images/edits"
PATIENCE_S = 90.0
HALF_BODIES = 60
HALF_BODY_BYTES = 12 << 20


def unknown_fields() -> bytes:
    return b'{"prompt": "a", ' + b", ".join(b'"f%d": 1' % number for number in range(900_000)) + b"}"


def many_loras() -> bytes:
    return b'{"prompt": "a", "loras": [' + b", ".join([b'{"name": "a", "scale": 1}'] * 300_000) + b"]}"


def many_numbers() -> bytes:
    return b'{"prompt": "a", "loras": [' + b", ".join([b"0.5"] * 3_500_000) + b"]}"


def deep_nesting() -> bytes:
    return b'{"prompt": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"


def long_number() -> bytes:
    return b'{"prompt": "a", "seed": ' + b"9" * 4_000_000 + b"}"


def long_prompt() -> bytes:
    return b'{"prompt": "' + b"a circle, " * 1_000_000 + b'"}'


def whitespace() -> bytes:
    return b'{"prompt":' + b" " * 15_000_000 + b'"a"}'


def many_errors() -> bytes:
    return b'{"prompt": "a", "images": [' + b", ".join([b'{"image_url": 7}'] * 200_000) + b"]}"


def large_picture() -> bytes:
    """A PNG file of 20,000 x 20,000 pixels that says nothing, in 50 kB."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(20_001 * 100)) for _ in range(200)) + packer.flush()
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b'{"prompt": "a", "image": "data:image/png;base64,' + b64encode(file) + b'"}'


BODIES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "unknown_fields": (PATH, unknown_fields),
    "many_loras": (PATH, many_loras),
    "many_numbers": (PATH, many_numbers),
    "deep_nesting": (PATH, deep_nesting),
    "long_number": (PATH, long_number),
    "long_prompt": (PATH, long_prompt),
    "whitespace": (PATH, whitespace),
    "many_errors": (EDITS, many_errors),
    "large_picture": (EDITS, large_picture),
}
"""By name: where it is sent, and what makes it."""


def send_body(url: str, kind: str) -> tuple[int, float]:
    """Send one hostile body; returns the status of the answer, 0 without one, and the seconds until then."""
    path, make = BODIES[kind]
    body = make()
    began_s = time.perf_counter()
    status = 0
    with contextlib.suppress(OSError), connect(url) as connection:
        with contextlib.suppress(OSError):  # an early answer may close the connection while the body is sent
            connection.sendall(_head(path, len(body)) + body)
        status = int(connection.recv(1 << 16).split(b" ", 2)[1] or 0)
    return status, time.perf_counter() - began_s


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)


@contextlib.contextmanager
def silent_connections(url: str, count: int) -> Iterator[int]:
    """Hold so many connections that say nothing; gives how many could be opened."""
    with contextlib.ExitStack() as stack:
        opened = 0
        for _ in range(count):
            with contextlib.suppress(OSError):
                stack.enter_context(connect(url))
                opened += 1
        yield opened


@contextlib.contextmanager
def half_bodies(url: str) -> Iterator[None]:
    """Hold many requests each of which has announced a large body and sent almost all of it."""
    with contextlib.ExitStack() as stack:
        for _ in range(HALF_BODIES):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(connect(url))
                connection.settimeout(5.0)
                connection.sendall(_head(PATH, HALF_BODY_BYTES) + b" " * (HALF_BODY_BYTES - 1))
        yield


def _head(path: str, length: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}"
    return head.encode() + b"\r\n\r\n"
