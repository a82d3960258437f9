"""Sending: each request at its time, whatever becomes of those before it, or with a limit of requests in flight."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safelight.bench.client.http_client import LATER_S, HttpClient, clock_s
from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.failures import Failure, internal_failure
from safelight.bench.media.pictures import Checker
from safelight.bench.records import GenerationResult, Record
from safelight.bench.requests import LoadRequest

CANCELLED = "cancelled"
AT_A_TIME = 16
"""After so many requests that are late, what has come meanwhile is read before more are sent."""

SHORTEST_S = 0.00051
"""uvloop makes no wait at all of a shorter one, and would spin."""

HURRIED_S = 2.0
"""What no request waits for may take so long when a load is ended early."""

RETRY_AFTER_S = 1.0
"""For servers that have no room and do not tell when there will be."""

RETRYABLE = ("rejected", "unavailable")


@dataclass(kw_only=True)
class LoadGenerator:
    """One load on its way.

    Attributes:
        asks: in order of their times.
        limit: requests in flight at most; None is any number.
        retries: how often a request is sent again when the server has no room; the time counts on.
        checker: looks at pictures; None if nobody does.
        records: of all that have ended, in that order.
        in_flight: requests that are sent and not answered.
        began_at: when, in Unix time.
    """

    requests: Sequence[LoadRequest] = field(repr=False)
    endpoint: Endpoint
    options: RequestOptions
    client: HttpClient
    max_concurrency: int | None = None
    retries: int = 0
    checker: Checker | None = None
    records: list[Record] = field(default_factory=list, repr=False)
    in_flight: int = 0
    began_at: float = 0.0
    _began_s: float = 0.0

    @property
    def now_s(self) -> float:
        """Seconds since the load began."""
        return clock_s() - self._began_s

    async def run(self) -> None:
        """Send everything and wait for all answers; when cancelled, requests in flight are recorded as such."""
        self.began_at, self._began_s = time.time(), clock_s()
        patience_s = HURRIED_S
        try:
            await (self._open() if self.max_concurrency is None else self._closed(self.max_concurrency))
            patience_s = LATER_S
        finally:
            await self.client.settle(longest_s=patience_s)

    async def _open(self) -> None:
        async with asyncio.TaskGroup() as group:
            late = 0
            for request in self.requests:
                if request.due_s > self.now_s or late == AT_A_TIME:
                    late = 0
                    await self._due(request)
                late += 1
                group.create_task(self._send(request, released_s=request.due_s))

    async def _closed(self, max_concurrency: int) -> None:
        requests = iter(self.requests)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max_concurrency, len(self.requests))):
                group.create_task(self._send_in_turn(requests))

    async def _send_in_turn(self, requests: Iterator[LoadRequest]) -> None:
        for request in requests:
            released_s = max(request.due_s, self.now_s)
            await self._due(request)
            await self._send(request, released_s=released_s)

    async def _due(self, request: LoadRequest) -> None:
        """Give way to others, and wait until a request is due.

        Timers may be early: uvloop's count whole milliseconds, from when the turn of its loop began.
        """
        await asyncio.sleep(max(0.0, request.due_s - self.now_s))
        while (early_s := request.due_s - self.now_s) > 0:  # noqa: ASYNC110 - what it waits for is the time
            await asyncio.sleep(max(early_s, SHORTEST_S))

    async def _send(self, request: LoadRequest, *, released_s: float) -> None:
        record = Record(
            request=request, due_s=request.due_s, released_s=released_s, sent_s=self.now_s, failure=CANCELLED
        )
        self.in_flight += 1
        try:
            found = await self._asked(request, record)
            self._note(found, record)
        except Failure as failure:
            self._note_failure(failure, record)
        except Exception as error:  # noqa: BLE001 - what one request meets must not lose what all others told
            self._note_failure(internal_failure(error), record)
        finally:
            if record.failure == CANCELLED:
                record.done_s = self.now_s
            self.in_flight -= 1
            self.records.append(record)

    async def _asked(self, request: LoadRequest, record: Record) -> GenerationResult:
        until_s = clock_s() + self.client.server.timeout_s
        while True:
            try:
                return await self.endpoint.send(request, self.options, self.client, until_s)
            except Failure as failure:
                if failure.kind not in RETRYABLE:
                    raise
                record.turned_away += 1
                if record.turned_away > self.retries:
                    raise
                pause_s = RETRY_AFTER_S if failure.retry_after_s is None else failure.retry_after_s
                if clock_s() + pause_s >= until_s:
                    raise Failure(failure.kind, f"{failure.message} (to wait {pause_s:g} s is too long)") from None
            await asyncio.sleep(pause_s)

    def _note_failure(self, failure: Failure, record: Record) -> None:
        record.failure, record.message, record.done_s = failure.kind, failure.message, self.now_s

    def _note(self, found: GenerationResult, record: Record) -> None:
        record.failure = ""
        record.done_s = found.done_s - self._began_s
        record.queue_s, record.compute_s = found.queue_s, found.compute_s
        record.stages_s, record.peak_memory_mb = found.stages_s, found.peak_memory_mb
        record.previews = len(found.previews_s)
        if found.previews_s:
            record.first_preview_s = found.previews_s[0] - self._began_s
        if self.checker is not None:
            self.checker.put(record, found)
