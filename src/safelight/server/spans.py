"""The protocol of traces of requests: what the server reports, whether or not anything records it.

One HTTP request is one span. Each of its pictures is a child, and each stage of a picture a child of that.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from starlette.types import Scope

from safelight.core.outcome import Outcome


class RequestSpan(Protocol):
    """The span of one HTTP request."""

    @property
    def trace_id(self) -> str | None:
        """32 hexadecimal digits; None if nothing is recorded."""
        ...

    def answered(self, *, route: str | None, status: int, code: str | None) -> None:
        """Note the answer; `route` is a template of paths, and `code` that of the answer's problem."""
        ...


class Spans(Protocol):
    """Records spans; no method blocks or raises."""

    def request(self, scope: Scope, request_id: str) -> AbstractContextManager[RequestSpan]:
        """Record one HTTP request within a `with`; what is recorded in tasks that begin there is below it."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Record a picture that has just ended, with its stages."""
        ...

    def encoding(self, output_format: str) -> AbstractContextManager[object]:
        """Record the encoding of a picture file within a `with`."""
        ...

    async def close(self) -> None:
        """Send what has been recorded, within a bounded time."""
        ...


class NoSpan:
    """Is not recorded."""

    trace_id: str | None = None

    def answered(self, *, route: str | None, status: int, code: str | None) -> None:
        pass


class NoSpans:
    """Records nothing."""

    def request(self, scope: Scope, request_id: str) -> AbstractContextManager[RequestSpan]:
        return _NOTHING

    def ended(self, outcome: Outcome) -> None:
        pass

    def encoding(self, output_format: str) -> AbstractContextManager[object]:
        return _NOTHING

    async def close(self) -> None:
        pass


_NOTHING: AbstractContextManager[RequestSpan] = nullcontext(NoSpan())
