"""What an answer says: its JSON, and how it failed."""

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
    """An answer whose status is 200: its bytes, and when the last one came."""

    content: bytes
    done_s: float
    headers: Mapping[str, str]


class InvalidJson(Exception):
    """Why bytes are no JSON of a type."""


def parse_json(content: bytes, into: type[Body]) -> Body:
    """Return what JSON says; raises NotJson, also for what is nested too deeply."""
    try:
        return msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(str(error)) from None


def decode_json(response: Response, into: type[Body]) -> Body:
    """Return an answer's JSON.

    Raises:
        Failure: if it is none, or none of this type, or tells of an error in spite of its status, or does not say that
            it is JSON.
    """
    kind = response.headers.get("Content-Type")
    try:
        found = parse_json(response.content, into)
    except InvalidJson as problem:
        raise unexpected_content(response.content, "JSON of this endpoint", kind, problem) from None
    if not _is_json(kind):
        raise Failure(
            "wrong_type", f"JSON came as {kind or 'something without a type'}, which clients take for no JSON"
        )
    return found


@lru_cache
def _is_json(kind: str | None) -> bool:
    """Say whether a media type is that of JSON; all answers of a server have few."""
    name = (kind or "").partition(";")[0].strip().lower()
    return name == "application/json" or name.endswith("+json")


class _ErrorBody(msgspec.Struct):
    """An error as servers of this kind tell it."""

    error: object = None
    detail: object = None
    message: object = None


def error_message_in(content: bytes) -> str:
    """Return what an answer says went wrong, short."""
    try:
        said = parse_json(content, _ErrorBody)
    except InvalidJson:
        said = _ErrorBody()
    found = error_text(said.error or said.detail or said.message)
    return (
        found
        or content[: 4 * MOST_MESSAGE_CHARACTERS].decode(errors="replace").strip()[:MOST_MESSAGE_CHARACTERS]
        or "(no body)"
    )


def error_text(error: object) -> str:
    """Return an error that was read from JSON in words, short; nothing if there is none."""
    if isinstance(error, dict):
        error = error.get("message", error)
    try:
        return str(error)[:MOST_MESSAGE_CHARACTERS] if error else ""
    except (ValueError, RecursionError):  # a number of very many digits, or what is nested deeply
        return ""


def failure_of_status(status: int, headers: Mapping[str, str], content: bytes) -> Failure:
    """Return what an answer means whose status is not 200."""
    if 300 <= status < 400:
        there = headers.get("Location", "nowhere")
        return Failure("redirected", f"status {status}, to {shorten(there, limit=200)}; name that with --base-url")
    packing = content_encoding_of(headers)
    said = f"status {status}: {f'(packed as {packing})' if packing else error_message_in(content)}"
    match status:
        case 429:
            return Failure("rejected", said, retry_after_s=retry_after_s(headers))
        case 502 | 503 | 504:
            return Failure("unavailable", said, retry_after_s=retry_after_s(headers))
        case _ if 400 <= status < 500:
            return Failure("refused_request", said)
        case _ if 500 <= status < 600:
            return Failure("server_error", said)
    return Failure("bad_status", said)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what `Retry-After` says, in seconds or as a date; nothing if it makes no sense."""
    said = headers.get("Retry-After")
    if said is None:
        return None
    try:
        wait_s = float(said)
    except ValueError:
        wait_s = _seconds_until(said)
    return None if math.isnan(wait_s) else max(0.0, wait_s)


def _seconds_until(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return math.nan


def content_encoding_of(headers: Mapping[str, str]) -> str | None:
    """Return how a body is packed: a few bytes may stand for very many, so none is unpacked."""
    told = headers.get("Content-Encoding", "").strip()
    return None if told.lower() in {"", "identity"} else told


def unexpected_content(content: bytes, wanted: str, kind: str | None, problem: Exception | None = None) -> Failure:
    """Return what came in place of what was wanted."""
    start = content[:MOST_MESSAGE_CHARACTERS].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or (kind or "").startswith("text/html"):
        return Failure("html", f"a page of HTML came in place of {wanted}: {shorten(start.decode(errors='replace'))}")
    if _has_error(content):
        return Failure("error_body", f"status 200: {error_message_in(content)}")
    why = f" ({problem})" if problem else ""
    return Failure("not_json", f"{kind or 'something without a type'} came in place of {wanted}{why}")


def _has_error(content: bytes) -> bool:
    try:
        said = parse_json(content, _ErrorBody)
    except InvalidJson:
        return False
    return bool(said.error or said.detail)


def missing_picture(response: Response, what: str = "picture") -> Failure:
    """Return how an answer that holds nothing failed."""
    if _has_error(response.content):
        return Failure("error_body", f"status 200: {error_message_in(response.content)}")
    return Failure("no_picture", f"the answer holds no {what}: {shorten(response.content[:MOST_MESSAGE_CHARACTERS])}")
