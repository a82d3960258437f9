"""Downloads a file completely and with limits, or reports why that failed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2

from safelight.core.errors import shorten

MOST_REDIRECTS = 5
HEADERS = {"User-Agent": "safelight-bench", "Accept-Encoding": "identity"}
"""No compression, against decompression bombs."""


class NotFetched(Exception):
    """A download failed; the message is the end of a sentence."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a download.

    Attributes:
        most_bytes: the largest size.
        silence_s: the longest time without a byte.
        longest_s: the longest time until the last byte.
    """

    most_bytes: int
    silence_s: float
    longest_s: float


def fetch(url: str, to: Path, limits: Limits) -> None:
    """Download a URL to a file, through the proxies that the environment names.

    Redirects are followed, but not from https to http.

    Raises:
        NotFetched: if the download fails or is incomplete.
        OSError: if the file cannot be written.
    """
    try:
        with _client(url, limits) as client, client.stream("GET", url, headers=HEADERS) as answer:
            _check_begun(answer, limits)
            with to.open("wb") as file:
                file.writelines(_pieces(answer, limits))
    except httpx2.TimeoutException:
        raise NotFetched(f"nothing came within {limits.silence_s:g} s") from None
    except httpx2.ConnectError as error:
        raise NotFetched(f"no connection came about: {error}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotFetched((str(error) or type(error).__name__).rstrip(".")) from None


def _client(url: str, limits: Limits) -> httpx2.Client:
    try:
        return httpx2.Client(
            timeout=limits.silence_s,
            follow_redirects=True,
            max_redirects=MOST_REDIRECTS,
            event_hooks={"request": [] if url.startswith("http:") else [_check_secure]},
        )
    except (ValueError, ImportError, OSError) as error:
        reason = str(error).rstrip(".")
        raise NotFetched(f"the proxy or the certificates that the environment names cannot be used: {reason}") from None


def _check_secure(request: httpx2.Request) -> None:
    if request.url.scheme == "http":
        raise NotFetched(f"it leads on to {shorten(str(request.url))}, which is not https")


def _check_begun(answer: httpx2.Response, limits: Limits) -> None:
    if answer.status_code != HTTPStatus.OK:
        raise NotFetched(f"the answer is {answer.status_code} {answer.reason_phrase}".rstrip())
    if int(answer.headers.get("Content-Length", 0)) > limits.most_bytes:
        raise _too_large(limits)


def _pieces(answer: httpx2.Response, limits: Limits) -> Iterator[bytes]:
    size, give_up_s = 0, time.monotonic() + limits.longest_s
    for piece in answer.iter_raw():
        size += len(piece)
        if size > limits.most_bytes:
            raise _too_large(limits)
        if time.monotonic() > give_up_s:
            raise NotFetched(f"it was not whole within {limits.longest_s:g} s")
        yield piece


def _too_large(limits: Limits) -> NotFetched:
    return NotFetched(f"it has more than the {limits.most_bytes:,} bytes that are taken")
