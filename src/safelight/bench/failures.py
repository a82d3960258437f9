"""How a request fails, under a short stable name, and what aiohttp's errors mean."""

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
    "rejected": "the server had no room (429)",
    "unavailable": "the server, or one before it, is not available (502, 503, 504)",
    "refused_request": "the server takes the request to be wrong (other 4xx)",
    "server_error": "the server failed (other 5xx)",
    "bad_status": "a status that means neither success nor an error",
    "html": "a page of HTML came, as from another service or a proxy",
    "packed": "what came is compressed, which the client does not allow",
    "wrong_type": "the answer is JSON, and its type does not say so",
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
    "client_error": "the benchmark itself failed, which is a bug; please report it",
}
"""What each kind means. All are counted as missed where there is a deadline."""


CONNECTION_ERRORS = (TimeoutError, aiohttp.ClientError, OSError)
"""What an exchange raises whose answer did not come."""

READ_ERRORS = (*CONNECTION_ERRORS, RuntimeError)
"""What reading an answer raises that does not come to its end: RuntimeError where it was closed between two reads."""

MOST_CHARACTERS = 600
"""Of a message, most of which a server may have written."""


class Failure(Exception):
    """A request that was not served, which is a fact about the server and no error of the benchmark.

    Attributes:
        message: fit for a terminal, whatever it was made with.
        retry_after_s: when the server says that it may have room.
    """

    def __init__(self, kind: str, message: str, *, retry_after_s: float | None = None) -> None:
        assert kind in KINDS
        self.kind = kind
        self.message = printable(message, limit=MOST_CHARACTERS)
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


def printable(text: str, *, limit: int) -> str:
    """Return text in at most `limit` characters, in which all that would not be seen as it is is escaped."""
    shown = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text[: limit + 1]
    )
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def failure_of_exception(error: Exception, timeout_s: float) -> Failure:
    """Return what an exception of `LOST` or `CUT` means."""
    return Failure(*_kind_of(error, timeout_s))


def internal_failure(error: Exception) -> Failure:
    """Return how a request failed that met an error of the benchmark's own."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    location = f"{Path(frame.filename).name}:{frame.lineno}"
    return Failure("client_error", f"{type(error).__name__} at {location}: {error}; please report this")


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
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | RuntimeError():
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
