"""Kinds of failed requests, by short stable names, and the kinds of aiohttp's errors."""

import errno
import ssl
import traceback
from pathlib import Path

import aiohttp

from safelight.core.errors import shorten

KINDS = {
    "refused": "nobody listens at the address",
    "unreachable": "the address cannot be reached",
    "unresolved": "the host has no address",
    "tls": "no secure connection came about",
    "client_limit": "no connection was free: --connections, or this machine, allows the client no more",
    "no_connection": "no connection was made in time",
    "timeout": "no answer came in time",
    "slow_body": "an answer began in time, and did not end in time",
    "closed": "the server closed the connection before the answer was whole",
    "not_http": "what answers does not speak HTTP",
    "redirected": "the server sends clients elsewhere",
    "rejected": "the server is full (429)",
    "expired": "the server gave the picture up at its deadline (504, deadline_expired)",
    "unavailable": "the server, or one before it, is not available (502, 503, 504)",
    "refused_request": "the server takes the request to be wrong (other 4xx)",
    "server_error": "the server failed (other 5xx)",
    "bad_status": "a status that means neither success nor an error",
    "html": "a page of HTML came, as from another service or a proxy",
    "packed": "what came is compressed, which the client does not allow",
    "wrong_type": "the answer is JSON, and its type does not say so",
    "not_json": "what came is not the JSON that the endpoint answers with",
    "error_body": "the status was 200, and the body is an error",
    "no_picture": "the answer holds no picture or video",
    "bad_base64": "the picture is not base64, or cut short",
    "damaged": "the picture or video cannot be decoded, or not to its end",
    "wrong_size": "the picture or video is not of the size that was asked for",
    "wrong_length": "the video has not as many frames as were asked for",
    "wrong_fps": "the video has not as many frames a second as were asked for",
    "wrong_format": "the picture is not of the format that the answer states",
    "blank": "all of the picture, or of every frame, is of one colour",
    "repeated": "the picture or video was given for another prompt before",
    "job_failed": "the server gave the job up",
    "too_large": "the answer is larger than any picture or video",
    "client_error": "the benchmark itself failed, which is a bug; please report it",
}
"""What each kind means. All count as missed deadlines."""

RETRYABLE = ("rejected", "unavailable")
"""Kinds after which the server may have capacity later."""

CONNECTION_ERRORS = (TimeoutError, aiohttp.ClientError, OSError)
"""Raised when no answer arrives."""

READ_ERRORS = (*CONNECTION_ERRORS, RuntimeError)
"""Raised when an answer does not end; RuntimeError if it was closed between two reads."""

MOST_CHARACTERS = 600
"""Limit of a message, most of which may come from the server."""


class Failure(Exception):
    """A request that failed: a result about the server, not an error of the benchmark.

    Attributes:
        message: safe to print.
        retry_after_s: the delay that the server asks for.
    """

    def __init__(self, kind: str, message: str, *, retry_after_s: float | None = None) -> None:
        assert kind in KINDS
        self.kind = kind
        self.message = printable(message, limit=MOST_CHARACTERS)
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


def printable(text: str, *, limit: int) -> str:
    """Return text in at most `limit` characters, with unprintable ones escaped."""
    shown = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text[: limit + 1]
    )
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def failure_of_exception(error: Exception, timeout_s: float) -> Failure:
    """Return the failure of an exception of `CONNECTION_ERRORS` or `READ_ERRORS`."""
    return Failure(*_kind_of(error, timeout_s))


def internal_failure(error: Exception) -> Failure:
    """Return the failure of a request on which the benchmark itself had an error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    location = f"{Path(frame.filename).name}:{frame.lineno}"
    return Failure("client_error", f"{type(error).__name__} at {location}: {error}; please report this")


def _kind_of(error: Exception, timeout_s: float) -> tuple[str, str]:
    message = str(error) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorDNSError():
            kind = "unresolved"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            kind = "tls"
        case aiohttp.ConnectionTimeoutError():
            kind = "no_connection"
        case TimeoutError():
            return "timeout", f"nothing came within {timeout_s:g} s"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | RuntimeError():
            kind = "closed"
        case OSError(errno=number):
            kind = _kind_of_os_error(number)
        case _:
            kind = "not_http"
    return kind, f"no answer in HTTP: {shorten(message, limit=200)}" if kind == "not_http" else message


def _kind_of_os_error(number: int | None) -> str:
    match number:
        case errno.ECONNREFUSED:
            return "refused"
        case errno.EMFILE | errno.ENFILE | errno.EADDRNOTAVAIL | errno.ENOBUFS:
            return "client_limit"
        case errno.ECONNRESET | errno.EPIPE | errno.ECONNABORTED:
            return "closed"
    return "unreachable"
