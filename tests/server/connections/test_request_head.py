"""A request says once which host it means and where its body ends."""

import pytest

from fakes.raw_http import code_of, exchange, head, status_of
from safelight.server.connections.request_head import check_head


def refusal(*headers, method=b"GET", target=b"/", version="1.1"):
    problem = check_head(method, target, version, headers)
    return problem and (problem.status, problem.code)


@pytest.mark.parametrize(
    "hosts",
    [
        [b"a", b"a"],
        [b"a", b"b"],
        [b"a", b""],
        [b"a, b"],
        [b"a,b"],
        [b"user@a"],
        [b"user:secret@a"],
        [b"a b"],
        [b"a/b"],
        [b"a?b"],
        [b"a#b"],
        [b"a\\b"],
        [b"a:port"],
        [b"a:1:2"],
        [b"[::1"],
        [b"[evil]"],
        [b"http://a"],
        [b"\xe9"],
        [],
    ],
)
def test_any_host_but_one_valid_name_is_refused(hosts):
    assert refusal(*((b"host", host) for host in hosts)) == (400, "bad_host")


@pytest.mark.parametrize("host", [b"a", b"a.example:80", b"127.0.0.1:8000", b"[::1]:8000", b"my_host-1.local.", b""])
def test_a_host_name_with_or_without_a_port_is_accepted(host):
    assert refusal((b"host", host)) is None


def test_http_1_0_needs_no_host():
    assert refusal(version="1.0") is None


@pytest.mark.parametrize("version", ["0.9", "2.0"])
def test_other_versions_are_refused(version):
    assert refusal((b"host", b"a"), version=version) == (505, "bad_http_version")


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        (b"http://a/x", b"a", None),
        (b"HTTP://A/x", b"a", None),
        (b"http://b/x", b"a", (400, "bad_host")),
        (b"http://a:1/x", b"a", (400, "bad_host")),
        (b"http://user@a/x", b"a", (400, "bad_host")),
        (b"http:///x", b"", (400, "bad_target")),
        (b"ftp://a/x", b"a", (400, "bad_target")),
        (b"http://[a/x", b"a", (400, "bad_target")),
        (b"x", b"a", (400, "bad_target")),
        (b"*", b"a", (400, "bad_target")),
        (b"/\xff", b"a", (400, "bad_target")),
    ],
)
def test_a_whole_url_must_name_the_host_of_the_header(target, host, expected):
    assert refusal((b"host", host), target=target) == expected


def test_the_server_is_no_proxy():
    assert refusal((b"host", b"a:1"), method=b"CONNECT", target=b"a:1") == (405, "method_not_allowed")


@pytest.mark.parametrize("encodings", [[b"gzip, chunked"], [b"gzip"], [b"chunked", b"chunked"], [b"chunked, chunked"]])
def test_only_chunked_bodies_are_read(encodings):
    assert refusal((b"host", b"a"), *((b"transfer-encoding", value) for value in encodings)) == (
        501,
        "bad_transfer_encoding",
    )


def test_http_1_0_has_no_chunked_bodies():
    assert refusal((b"transfer-encoding", b"chunked"), version="1.0") == (400, "bad_transfer_encoding")


def test_a_request_has_a_limited_number_of_headers():
    assert refusal((b"host", b"a"), *[(b"x", b"")] * 100) == (431, "too_many_headers")


@pytest.mark.parametrize(
    ("lines", "host"), [(["Host: localhost"], "localhost"), (["Host: evil"], "localhost"), ([], None), ([], "a,b")]
)
def test_two_hosts_or_none_are_answered_with_400(patient, lines, host):
    answer = exchange(patient.url, head(*lines, host=host))
    assert (status_of(answer), code_of(answer)) == (400, "bad_host")


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 1", "Content-Length: 1"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: 1, 1"],
        ["Content-Length: +1"],
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 1"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["X: a", " folded"],
        ["X : a"],
        ["X: a\0b"],
    ],
)
def test_an_ambiguous_request_is_refused(patient, lines):
    answer = exchange(patient.url, head(*lines, method="POST"), b"x")
    assert (status_of(answer), code_of(answer)) == (400, "bad_http")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"A" * 1_000_000,
        b"\0" * 100,
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\n\n",
    ],
    ids=["tls", "http2", "letters", "zeros", "text", "bare-lf"],
)
def test_what_is_no_http_1_is_answered_with_400(patient, garbage):
    answer = exchange(patient.url, garbage)
    assert (status_of(answer), code_of(answer)) == (400, "bad_http")


def test_http_0_9_is_refused(patient):
    assert status_of(exchange(patient.url, b"GET /health/live\r\n\r\n")) == 505
