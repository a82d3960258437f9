"""The server's errors, and the HTTP response of each error.

    SafelightError
    ├── CannotServe               the server cannot start or continue; the command line shows the message
    │   ├── UnsafeBind
    │   └── PortTaken
    └── HttpError                 an error with a status of its own

Errors of `core` get their status from the table in `problem_of`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from safelight.core.errors import (
    AdapterExists,
    AdapterFileError,
    Cancelled,
    CannotServe,
    DeadlineExpired,
    Draining,
    NotReady,
    Rejected,
    RequestError,
    SafelightError,
    ShutDown,
    UnknownAdapter,
    UnknownModel,
    WorkFailed,
    shorten,
)
from safelight.server.public_text import public_text

DO_NOT_RETRY = {"x-should-retry": "false"}
"""A header that keeps the official clients from retrying on their own."""


class UnsafeBind(CannotServe):
    """The address is reachable from other machines, and there is no key."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Refusing to listen on {host!r} without an API key: anyone who reaches it could use this machine. "
            "Give --api-key or --keys, or listen on 127.0.0.1."
        )


class PortTaken(CannotServe):
    """Another program uses the address."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port}: {reason}. Stop what listens there, or choose another --port."
        )


class HttpError(SafelightError):
    """An error with a status of its own."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: str = "invalid_request_error",
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.problem = Problem(
            status=status, message=message, type=kind, code=code, param=param, headers=dict(headers or {})
        )

    @classmethod
    def of(cls, problem: "Problem") -> Self:
        """Return the error of a problem."""
        return cls(
            problem.message,
            status=problem.status,
            kind=problem.type,
            code=problem.code,
            param=problem.param,
            headers=problem.headers,
        )


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as an HTTP response: `{"error": {"message", "type", "param", "code"}}`."""

    status: int
    message: str
    type: str
    code: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, dict[str, str | None]]:
        """The body as plain values."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """Return the whole answer."""
        return ProblemResponse(self)


class ProblemResponse(Response):
    """Also notes the code of the problem in the scope, for the log, the metrics and the traces."""

    def __init__(self, problem: Problem) -> None:
        body = msgspec.json.encode(problem.document)
        super().__init__(body, problem.status, dict(problem.headers), media_type="application/json")
        self._code = problem.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        scope.setdefault("state", {})[_PROBLEM] = self._code
        await super().__call__(scope, receive, send)


_PROBLEM = "problem_code"


def problem_code_of(scope: Scope) -> str | None:
    """Return the code of the problem that this request was answered with, or None."""
    code: str | None = scope.get("state", {}).get(_PROBLEM)
    return code


UNEXPECTED = Problem(
    status=500,
    type="server_error",
    code="internal_error",
    message="Something went wrong here; the server's log has it under this answer's x-request-id.",
)


def still_reading(adapter: str, within_s: float) -> HttpError:
    """The workers are still reading an adapter, which may be accepted later."""
    return HttpError(
        f"No worker has read {adapter!r} within {within_s:.0f} s; GET /v1/adapters has it as soon as one has.",
        status=503,
        kind="server_error",
        code="not_ready",
        headers=retry_after(within_s),
    )


def busy(why: str, retry_after_s: float) -> HttpError:
    """There is no room for a request now, for a reason that other requests are."""
    return HttpError(
        f"The server is busy: {why}; try again in {retry_after_s:.0f} s.",
        status=503,
        kind="server_error",
        code="busy",
        headers=retry_after(retry_after_s),
    )


def not_found(what: str, name: str, *, hint: str) -> HttpError:
    """A path names something that does not exist."""
    return HttpError(
        f"There is no {what} {shorten(name)} here; {hint}.", status=404, kind="not_found_error", code="not_found"
    )


def retry_after(seconds: float) -> dict[str, str]:
    """Return the Retry-After header, in whole seconds and at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def problem_of(error: Exception) -> Problem:
    """Return the HTTP response of `error`; an error that is not meant for users becomes a generic 500."""
    if isinstance(error, HttpError):
        return error.problem
    for error_type, status, kind in _TABLE:
        if isinstance(error, error_type):
            return Problem(
                status=status,
                message=str(error) if isinstance(error, RequestError) else public_text(str(error)),
                type=kind,
                code=_code(error),
                param=error.param if isinstance(error, RequestError) else None,
                headers=_headers(error),
            )
    return UNEXPECTED


_TABLE: tuple[tuple[type[SafelightError], int, str], ...] = (
    (UnknownModel, 404, "invalid_request_error"),
    (UnknownAdapter, 404, "invalid_request_error"),
    (AdapterExists, 409, "invalid_request_error"),
    (AdapterFileError, 400, "invalid_request_error"),
    (RequestError, 400, "invalid_request_error"),
    (Draining, 503, "server_error"),
    (NotReady, 503, "server_error"),
    (Rejected, 429, "rate_limit_error"),
    (DeadlineExpired, 504, "server_error"),
    (WorkFailed, 500, "server_error"),
    (ShutDown, 503, "server_error"),
    (Cancelled, 410, "cancelled_error"),
)
"""Errors of `core` with their status and type; the first match counts."""


def _code(error: SafelightError) -> str:
    return str(error.code if isinstance(error, RequestError) else getattr(error, "reason", "internal_error"))


def _headers(error: SafelightError) -> Mapping[str, str]:
    if isinstance(error, Rejected):
        return retry_after(error.retry_after_s)
    if isinstance(error, ShutDown):
        return retry_after(1)
    return DO_NOT_RETRY if isinstance(error, WorkFailed | Cancelled) else {}
