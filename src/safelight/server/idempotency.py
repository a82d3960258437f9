"""`Idempotency-Key`: the same request sent again gets the same response, and its pictures are painted once.

After draft-ietf-httpapi-idempotency-key-header: a key used again with another body is refused (422);
a repetition of a request that still runs joins it.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from safelight.server.callers import caller_of
from safelight.server.errors import HttpError
from safelight.server.fair_store import FairStore
from safelight.server.shared_response import SharedResponse

IDEMPOTENCY_HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 255

_KEY: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARACTERS)])


@dataclass(frozen=True, kw_only=True)
class RepeatableRequest:
    """What identifies a request: who sent it (its tenant), under which key, and a digest of its path and body."""

    caller: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, kw_only=True)
class _Entry:
    fingerprint: bytes
    response: SharedResponse


def repeatable(request: Request, body: BaseModel) -> RepeatableRequest | None:
    """Return the identity of this request, or None without a key; raises RequestValidationError."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        return None
    try:
        _KEY.validate_python(key)
    except ValidationError as error:
        located = [{**problem, "loc": ("header", IDEMPOTENCY_HEADER)} for problem in error.errors()]
        raise RequestValidationError(located) from None
    meaning = f"{request.url.path}\n{body.model_dump_json()}"
    fingerprint = hashlib.sha256(meaning.encode()).digest()
    return RepeatableRequest(caller=caller_of(request.scope).tenant, key=key, fingerprint=fingerprint)


class ResponseStore:
    """Holds responses by tenant and key: all running ones, and finished ones up to a number and a sum of bytes.

    Tenants share what is kept fairly, and none finds the response of another.
    """

    def __init__(self, *, max_responses: int, max_bytes: int) -> None:
        self._running: dict[tuple[str, str], _Entry] = {}
        self._finished: FairStore[_Entry] = FairStore(max_items=max_responses, max_bytes=max_bytes)

    def find(self, request: RepeatableRequest) -> SharedResponse | None:
        """Return the response that `request` repeats, if any; raises HttpError for a key used with another body."""
        running = self._running.get((request.caller, request.key))
        entry = running or self._finished.get(request.caller, request.key)
        if entry is None or entry.response.is_abandoned:
            return None
        if entry.fingerprint != request.fingerprint:
            raise HttpError(
                f"The Idempotency-Key {request.key!r} was used before with another body; take a new key.",
                status=422,
                param="Idempotency-Key",
                code="idempotency_key_reused",
            )
        return entry.response

    def put(self, request: RepeatableRequest, response: SharedResponse) -> None:
        """Keep `response`, which is still made, for repetitions of `request`."""
        entry = _Entry(fingerprint=request.fingerprint, response=response)
        self._finished.drop(request.caller, request.key)
        self._running[request.caller, request.key] = entry

    def settle(self, request: RepeatableRequest, response: SharedResponse) -> None:
        """Note that `response` has ended; a failed one is dropped, so that a retry runs again."""
        key = (request.caller, request.key)
        entry = self._running.get(key)
        if entry is None or entry.response is not response:
            return
        del self._running[key]
        if response.is_whole:
            self._finished.put(request.caller, request.key, entry, size_bytes=response.bytes_held)
