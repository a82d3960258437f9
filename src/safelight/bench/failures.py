"""How a request fails, under a short stable name, and what aiohttp's errors mean."""

import errno
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from safelight.core.errors import shorten

KINDS = {
    "refused": "nobody listens at the address",
    "unreachable": "the address cannot be reached",
    "unresolved": "the host has no address",
    "tls": "no secure connection came about",
    "client_limit": "this machine has no more sockets or open files for the client",
    "no_connection": "no connection was made in time",
    "timeout": "no answer came in time",
    "slow_body": "an answer began in time, and did not end in time",
    "closed": "the server closed the connection before the answer was whole",
    "not_http": "what answers does not speak HTTP",
    "redirected": "the server sends clients elsewhere",
    "rejected": "the server had no room (429)",
    "unavailable": "the server, or one before it, is not available (502, 503, 504)",
    "refused_request": "the server takes the request to be wrong (other 4xx)",
    "server_error": "the server failed (other 5xx)",
    "bad_status": "a status that means neither success nor an error",
    "html": "a page of HTML came, as from another service or a proxy",
    "not_json": "what came is not the JSON that the endpoint answers with",
    "error_body": "the status was 200, and the body told of an error",
    "no_picture": "the answer holds no picture or video",
    "bad_base64": "the picture is not base64, or cut short",
    "damaged": "the picture or video cannot be decoded, or not to its end",
    "wrong_size": "the picture or video is not of the size that was asked for",
    "wrong_length": "the video has not as many frames as were asked for",
    "wrong_fps": "the video has not as many frames a second as were asked for",
    "wrong_format": "the picture is not of the format that the answer tells",
    "blank": "all of the picture, or of every frame, is of one colour",
    "repeated": "the picture or video was given for another prompt before",
    "job_failed": "the server gave the job up",
    "too_large": "the answer is larger than any picture or video",
}
"""What each kind means. All are counted as missed where there is a deadline."""


class Failure(Exception):
    """A request that was not served, which is a fact about the server and no error of the benchmark."""

    def __init__(self, kind: str, message: str, *, retry_after_s: float | None = None) -> None:
        assert kind in KINDS
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s


@contextmanager
def told_as_failure(timeout_s: float) -> Iterator[None]:
    """Turn what aiohttp raises into a Failure."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        kind, message = _kind_of(error, timeout_s)
        raise Failure(kind, message) from error


def _kind_of(error: Exception, timeout_s: float) -> tuple[str, str]:
    said = str(error) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorDNSError():
            kind = "unresolved"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            kind = "tls"
        case aiohttp.ConnectionTimeoutError():
            kind = "no_connection"
        case TimeoutError():
            return "timeout", f"nothing came within {timeout_s:g} s"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            kind = "closed"
        case OSError(errno=number):
            kind = _kind_of_os_error(number)
        case _:
            kind = "not_http"
    return kind, f"no answer in HTTP: {shorten(said, limit=200)}" if kind == "not_http" else said


def _kind_of_os_error(number: int | None) -> str:
    match number:
        case errno.ECONNREFUSED:
            return "refused"
        case errno.EMFILE | errno.ENFILE | errno.EADDRNOTAVAIL | errno.ENOBUFS:
            return "client_limit"
        case errno.ECONNRESET | errno.EPIPE | errno.ECONNABORTED:
            return "closed"
    return "unreachable"
