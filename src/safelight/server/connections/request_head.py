"""What the head of a request must look like before anything reads it: one host, one way to find the end of the body."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from safelight.server.connections.limits import MAX_HEADERS
from safelight.server.errors import Problem

_TARGET = re.compile(rb"[\x21-\x7e]+")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(?::[0-9]{0,5})?")
_VERSIONS = frozenset({"1.0", "1.1"})
_SCHEMES = frozenset({"http", "https"})
_HOSTS_REMEMBERED = 128
"""Size of the cache of checked Host headers; almost all requests have the same."""

Header = tuple[bytes, bytes]


def malformed(message: str, code: str, status: int = 400) -> Problem:
    """A request that is refused before it is read to its end."""
    return Problem(status=status, message=message, type="invalid_request_error", code=code)


NOT_HTTP = "This is no request of HTTP/1.1"


def check_head(method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> Problem | None:
    """Return why a request with this head is refused, or None. Names of headers are in lower case."""
    if version not in _VERSIONS:
        return malformed(f"This server speaks HTTP/1.1, not HTTP/{version}.", "bad_http_version", 505)
    if len(headers) > MAX_HEADERS:
        return malformed(
            f"The request has {len(headers):,} headers; {MAX_HEADERS} are allowed.", "too_many_headers", 431
        )
    hosts, encodings = [], []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            encodings.append(value)
    return _check_encodings(encodings, version) or _check_host(hosts, version) or _check_target(method, target, hosts)


def _check_encodings(encodings: Sequence[bytes], version: str) -> Problem | None:
    if not encodings:
        return None
    if version == "1.0":
        return malformed("A request of HTTP/1.0 has no Transfer-Encoding.", "bad_transfer_encoding")
    if [encoding.strip().lower() for encoding in encodings] != [b"chunked"]:
        return malformed("The only Transfer-Encoding of this server is chunked.", "bad_transfer_encoding", 501)
    return None


def _check_host(hosts: Sequence[bytes], version: str) -> Problem | None:
    if len(hosts) > 1:
        return malformed(f"The request has {len(hosts)} Host headers; it must have one.", "bad_host")
    if not hosts:
        return None if version == "1.0" else malformed("The request has no Host header.", "bad_host")
    return (
        None if _is_host(hosts[0]) else malformed("The Host header is no host name with or without a port.", "bad_host")
    )


@lru_cache(_HOSTS_REMEMBERED)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _check_target(method: bytes, target: bytes, hosts: Sequence[bytes]) -> Problem | None:
    if method == b"CONNECT":
        return malformed("This server is no proxy: CONNECT is not possible.", "method_not_allowed", 405)
    if not _TARGET.fullmatch(target):
        return malformed("The request's path has characters that must be percent-encoded.", "bad_target")
    if target.startswith(b"/"):
        return None
    return _check_absolute(target, hosts)


def _check_absolute(target: bytes, hosts: Sequence[bytes]) -> Problem | None:
    try:
        parts = urlsplit(target.decode("ascii"))
    except ValueError:
        return malformed("The request's URL is none.", "bad_target")
    if parts.scheme.lower() not in _SCHEMES or not parts.netloc:
        return malformed("The request's path must begin with a slash.", "bad_target")
    if not hosts or parts.netloc.lower() != hosts[0].decode("latin-1").lower():
        return malformed("The host in the request line is not that of the Host header.", "bad_host")
    return None
