"""What a client sends beside a body is bounded, in whatever pieces it comes."""

import pytest

from safelight.server.connections.watcher import RefusedBytes, RequestWatcher

LIMIT = 1000
HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def watcher():
    return RequestWatcher(max_header_bytes=LIMIT)


def fed(watcher, *pieces):
    """The code of the refusal after some bytes."""
    try:
        for piece in pieces:
            watcher.feed(piece)
    except RefusedBytes as refusal:
        return refusal.problem.code
    return None


def endless(piece):
    return [piece] * (LIMIT * 3 // len(piece))


@pytest.mark.parametrize("size", [1, 10, 3000])
@pytest.mark.parametrize(
    ("begin", "piece", "code"),
    [
        (b"GET /", b"a", "target_too_long"),
        (b"GET / HTTP/1.1\r\nX: ", b"a", "header_too_large"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n", "header_too_large"),
        (b"", b"\r\n", "header_too_large"),
        (CHUNKED + b"1;", b"a", "body_framing_too_large"),
        (CHUNKED + b"1\r\na\r\n0\r\nX: ", b"a", "body_framing_too_large"),
    ],
)
def test_a_head_chunk_or_trailer_without_end_is_refused(watcher, begin, piece, code, size):
    assert fed(watcher, begin, *endless(piece * max(1, size // len(piece)))) == code


def test_a_whole_header_that_is_too_large_is_refused(watcher):
    assert fed(watcher, b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * LIMIT + b"\r\n\r\n") == "header_too_large"


def test_a_request_line_that_is_too_long_is_refused(watcher):
    assert fed(watcher, b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\n" + HOST + b"\r\n") == "target_too_long"


def test_many_trailers_are_refused(watcher):
    assert fed(watcher, CHUNKED + b"0\r\n", *[b"A:b\r\n"] * 110) == "too_many_headers"


def test_a_large_body_is_no_header(watcher):
    assert fed(watcher, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 50000\r\n\r\n", *[b"x" * 10_000] * 5) is None
    assert watcher.is_in_head


def test_a_body_in_chunks_of_ordinary_size_is_read(watcher):
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    assert fed(watcher, CHUNKED, *[chunk] * 1000, b"0\r\nA: b\r\n\r\n") is None
    assert watcher.is_in_head


def test_each_request_of_a_connection_has_the_whole_limit(watcher):
    request = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (LIMIT - 100) + b"\r\n\r\n"
    assert fed(watcher, *[request[:500], request[500:]] * 5) is None
    assert watcher.heads == 5


def test_a_request_to_change_the_protocol_is_the_last_one(watcher):
    assert fed(watcher, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n") is None
    assert watcher.is_last
