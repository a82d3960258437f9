"""Responses of the routes, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from safelight.server.wire.errors import ErrorAnswer

Responses = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "The request cannot be served as it is; the message says why.",
    404: "Nothing of that name is here.",
    409: "The name is taken.",
    410: "The picture was cancelled from the queue.",
    413: "The body is too large.",
    422: "The Idempotency-Key was used before with another body.",
    429: "Not now: the queue is full or the deadline cannot be met. Come back after Retry-After.",
    500: "The server failed.",
    503: "No worker is ready, or the server is shutting down. Come back after Retry-After.",
}

_BACK_LATER = {
    "Retry-After": {
        "description": "Whole seconds until a new try has a chance.",
        "schema": {"type": "integer", "minimum": 1},
    }
}

PAINTING = (400, 404, 410, 413, 422, 429, 500, 503)
"""Error statuses of requests for pictures."""


def errors(*statuses: int) -> Responses:
    """Return the entries for these statuses, and one for all others."""
    described: Responses = {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]}
        | ({"headers": _BACK_LATER} if status in {429, 503} else {})
        for status in statuses
    }
    return described | {"default": {"model": ErrorAnswer, "description": "Any other failure."}}


def json_or_stream(model: type[BaseModel]) -> Responses:
    """Return the entries of a route that paints and answers with `model` or with a stream of events."""
    stream = {"schema": {"type": "string", "description": "Server-sent events, each with one line of JSON."}}
    success = {"model": model, "description": "The pictures.", "content": {"text/event-stream": stream}}
    return errors(*PAINTING) | {200: success}
