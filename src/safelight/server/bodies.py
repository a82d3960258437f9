"""Request bodies in memory: one budget for all of them, and the thread in which large ones are parsed."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, TypeVar

from fastapi import Request
from starlette.types import Message, Receive, Scope

from safelight.server.json_scan import JsonLimits
from safelight.service.threads import started_threads

BODY_BUDGET_BYTES: Final = 256 << 20

SMALL_BODY_BYTES: Final = 64 << 10
"""Bodies up to this size are parsed on the event loop, and an eighth of the budget is kept for them."""

_SHARE_FOR_SMALL: Final = 8
_STATE_KEY: Final = "body"

Made = TypeVar("Made")


class BodyBudget:
    """Counts the bytes of all request bodies that are held at once; larger bodies leave a share to small ones."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_of_large = max_bytes - max_bytes // _SHARE_FOR_SMALL
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that are being received, parsed or decoded."""
        return self._held_bytes

    def has_room(self, body_bytes: int, *, more_bytes: int) -> bool:
        """Whether a body of `body_bytes` may take `more_bytes` now."""
        most = self._max_bytes if body_bytes <= SMALL_BODY_BYTES else self._max_bytes_of_large
        return self._held_bytes + more_bytes <= most

    def take(self, count: int) -> None:
        """Count bytes as held."""
        self._held_bytes += count

    def give_back(self, count: int) -> None:
        """Count bytes as held no longer."""
        self._held_bytes -= count


class BodyThread:
    """One thread for all large bodies, which therefore compete for the interpreter with each other first."""

    def __init__(self) -> None:
        self._thread = started_threads(1, name="bodies")

    async def run(self, body_bytes: int, work: Callable[[], Made]) -> Made:
        """Return the result of `work` on a body of `body_bytes`: of the thread, or at once if it is small."""
        if body_bytes <= SMALL_BODY_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """End the thread after the body in progress."""
        self._thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class Bodies:
    """What the bodies of all requests share; `turn` is held by the one large body that is copied in several steps."""

    budget: BodyBudget
    json_limits: JsonLimits
    thread: BodyThread = field(default_factory=BodyThread)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class HeldBody:
    """The body of one request, counted by the budget from its first byte until it is released."""

    def __init__(self, bodies: Bodies) -> None:
        self._budget = bodies.budget
        self._thread = bodies.thread
        self._turn = bodies.turn
        self._counted_bytes = 0
        self._content: bytes | None = None
        self.json_limits = bodies.json_limits

    def grow(self, count: int) -> bool:
        """Count `count` further bytes; False if the budget has no room for them."""
        if not self._budget.has_room(self._counted_bytes + count, more_bytes=count):
            return False
        self._budget.take(count)
        self._counted_bytes += count
        return True

    def put(self, content: bytes) -> None:
        """Hold the whole body."""
        self._content = content

    def take(self) -> bytes:
        """Return the body, and hold it no longer; it stays counted. Nothing is left for a second call."""
        content, self._content = self._content, None
        return content or b""

    def release(self) -> None:
        """Drop the body and stop counting it; further calls have no effect."""
        self._content = None
        self._budget.give_back(self._counted_bytes)
        self._counted_bytes = 0

    def replay(self, receive: Receive) -> Receive:
        """Return a `receive` that gives the body as one message, and then what `receive` gives."""
        is_pending = True

        async def replayed() -> Message:
            nonlocal is_pending
            if not is_pending:
                return await receive()
            is_pending = False
            return {"type": "http.request", "body": self.take(), "more_body": False}

        return replayed

    async def run(self, work: Callable[[], Made]) -> Made:
        """Return the result of `work` on the body: of a thread, or at once if the body is small."""
        return await self._thread.run(self._counted_bytes, work)

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Return what a large body enters to be copied in several steps, one body after the other."""
        return self._turn if self._counted_bytes > SMALL_BODY_BYTES else nullcontext()

    def attach(self, scope: Scope) -> None:
        """Make this the body of a request, for `body_of`."""
        scope.setdefault("state", {})[_STATE_KEY] = self


def body_of(request: Request) -> HeldBody:
    """Return the body of a request, as the middleware has received it."""
    body: HeldBody = request.scope["state"][_STATE_KEY]
    return body
