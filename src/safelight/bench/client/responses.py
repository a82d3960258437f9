"""Answers of a server: their JSON, and what their errors mean."""

import email.utils
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import msgspec

from safelight.bench.failures import Failure
from safelight.core.errors import shorten

MOST_MESSAGE_CHARACTERS = 300

Body = TypeVar("Body")


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer with status 200: its bytes, and when the last one arrived."""

    content: bytes
    done_s: float
    headers: Mapping[str, str]


class InvalidJson(Exception):
    """The bytes are not JSON of the wanted type."""


def parse_json(content: bytes, into: type[Body]) -> Body:
    """Decode JSON; raises InvalidJson, also if it is nested too deeply."""
    try:
        return msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(str(error)) from None


def decode_json(response: Response, into: type[Body]) -> Body:
    """Decode an answer's JSON.

    Raises:
        Failure: if it is not JSON of this type, if it reports an error in spite of its status, or if its media type is
            not that of JSON.
    """
    media_type = response.headers.get("Content-Type")
    try:
        found = parse_json(response.content, into)
    except InvalidJson as problem:
        raise unexpected_content(response.content, "JSON of this endpoint", media_type, problem) from None
    if not _is_json(media_type):
        raise Failure(
            "wrong_type", f"JSON came as {media_type or 'something without a type'}, which clients take for no JSON"
        )
    return found


@lru_cache
def _is_json(media_type: str | None) -> bool:
    """Return whether a media type is that of JSON; a server uses few types, so results are cached."""
    name = (media_type or "").partition(";")[0].strip().lower()
    return name == "application/json" or name.endswith("+json")


class _ErrorBody(msgspec.Struct):
    """The fields in which servers report an error."""

    error: object = None
    detail: object = None
    message: object = None


def error_message_in(content: bytes) -> str:
    """Return the error message of an answer, shortened."""
    try:
        body = parse_json(content, _ErrorBody)
    except InvalidJson:
        body = _ErrorBody()
    message = error_text(body.error or body.detail or body.message)
    return (
        message
        or content[: 4 * MOST_MESSAGE_CHARACTERS].decode(errors="replace").strip()[:MOST_MESSAGE_CHARACTERS]
        or "(no body)"
    )


def error_code_in(content: bytes) -> str:
    """Return the code of the error in an answer; "" if it has none."""
    try:
        error = parse_json(content, _ErrorBody).error
    except InvalidJson:
        return ""
    return str(error.get("code", ""))[:MOST_MESSAGE_CHARACTERS] if isinstance(error, dict) else ""


def error_text(error: object) -> str:
    """Return an error that was decoded from JSON as text, shortened; "" if there is none."""
    if isinstance(error, dict):
        error = error.get("message", error)
    try:
        return str(error)[:MOST_MESSAGE_CHARACTERS] if error else ""
    except (ValueError, RecursionError):  # a number of very many digits, or what is nested deeply
        return ""


def failure_of_status(status: int, headers: Mapping[str, str], content: bytes) -> Failure:
    """Return the failure of an answer whose status is not 200."""
    if 300 <= status < 400:
        target = headers.get("Location", "nowhere")
        return Failure("redirected", f"status {status}, to {shorten(target, limit=200)}; name that with --base-url")
    encoding = content_encoding_of(headers)
    message = f"status {status}: {f'(packed as {encoding})' if encoding else error_message_in(content)}"
    match status:
        case 429:
            return Failure("rejected", message, retry_after_s=retry_after_s(headers))
        case 502 | 503 | 504:
            is_expired = error_code_in(content) == "deadline_expired"
            return Failure("expired" if is_expired else "unavailable", message, retry_after_s=retry_after_s(headers))
        case _ if 400 <= status < 500:
            return Failure("refused_request", message)
        case _ if 500 <= status < 600:
            return Failure("server_error", message)
    return Failure("bad_status", message)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the delay of `Retry-After`, which is seconds or a date; None if it is absent or invalid."""
    header = headers.get("Retry-After")
    if header is None:
        return None
    try:
        wait_s = float(header)
    except ValueError:
        wait_s = _seconds_until(header)
    return None if math.isnan(wait_s) else max(0.0, wait_s)


def _seconds_until(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return math.nan


def content_encoding_of(headers: Mapping[str, str]) -> str | None:
    """Return the content encoding if there is one; the client decompresses nothing, against decompression bombs."""
    encoding = headers.get("Content-Encoding", "").strip()
    return None if encoding.lower() in {"", "identity"} else encoding


def unexpected_content(
    content: bytes, wanted: str, media_type: str | None, problem: Exception | None = None
) -> Failure:
    """Return the failure of an answer that has other content than wanted."""
    start = content[:MOST_MESSAGE_CHARACTERS].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or (media_type or "").startswith("text/html"):
        return Failure("html", f"a page of HTML came in place of {wanted}: {shorten(start.decode(errors='replace'))}")
    if _has_error(content):
        return Failure("error_body", f"status 200: {error_message_in(content)}")
    why = f" ({problem})" if problem else ""
    return Failure("not_json", f"{media_type or 'something without a type'} came in place of {wanted}{why}")


def _has_error(content: bytes) -> bool:
    try:
        body = parse_json(content, _ErrorBody)
    except InvalidJson:
        return False
    return bool(body.error or body.detail)


def missing_picture(response: Response, what: str = "picture") -> Failure:
    """Return the failure of an answer without a picture."""
    if _has_error(response.content):
        return Failure("error_body", f"status 200: {error_message_in(response.content)}")
    return Failure("no_picture", f"the answer holds no {what}: {shorten(response.content[:MOST_MESSAGE_CHARACTERS])}")
