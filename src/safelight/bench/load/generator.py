"""Sends requests: each at its due time whatever happens to earlier ones, or under a concurrency limit."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safelight.bench.client.http_client import BACKGROUND_S, HttpClient, clock_s
from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.failures import RETRYABLE, Failure, internal_failure
from safelight.bench.load.checker import Checker
from safelight.bench.records import CANCELLED, GenerationResult, Record
from safelight.bench.requests import LoadRequest

MOST_LATE_IN_A_ROW = 16
"""After this many late requests, answers are read before more requests are sent."""

SHORTEST_S = 0.00051
"""uvloop does not wait at all for less, so a loop would spin."""

BACKGROUND_WHEN_STOPPED_S = 2.0
"""The longest wait for background work when a load ends early."""

RETRY_AFTER_S = 1.0
"""The pause before a retry when the server sends no `Retry-After`."""


@dataclass(kw_only=True)
class LoadGenerator:
    """A load that is being sent.

    Attributes:
        requests: sorted by `due_s`.
        max_concurrency: limit of requests in flight; None means no limit.
        retries: how often a rejected request is sent again; its latency includes the retries.
        checker: checks and saves pictures; None for neither.
        records: of all requests that ended, in the order in which they ended.
        in_flight: requests that are sent and not answered.
        began_at: Unix time of the start.
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
        """Seconds since the start."""
        return clock_s() - self._began_s

    async def run(self) -> None:
        """Send all requests and wait for their answers; if cancelled, requests in flight are recorded as such."""
        self.began_at, self._began_s = time.time(), clock_s()
        background_s = BACKGROUND_WHEN_STOPPED_S
        try:
            await (self._send_open_loop() if self.max_concurrency is None else self._send_closed_loop())
            background_s = BACKGROUND_S
        finally:
            await self.client.finish_background(longest_s=background_s)

    async def _send_open_loop(self) -> None:
        async with asyncio.TaskGroup() as group:
            late = 0
            for request in self.requests:
                if request.due_s > self.now_s or late == MOST_LATE_IN_A_ROW:
                    late = 0
                    await self._wait_until_due(request)
                late += 1
                group.create_task(self._send(request, released_s=request.due_s))

    async def _send_closed_loop(self) -> None:
        assert self.max_concurrency is not None
        requests = iter(self.requests)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.max_concurrency, len(self.requests))):
                group.create_task(self._send_in_turn(requests))

    async def _send_in_turn(self, requests: Iterator[LoadRequest]) -> None:
        for request in requests:
            released_s = max(request.due_s, self.now_s)
            await self._wait_until_due(request)
            await self._send(request, released_s=released_s)

    async def _wait_until_due(self, request: LoadRequest) -> None:
        """Let other tasks run, and wait until a request is due.

        Timers may fire early: uvloop counts whole milliseconds from the start of the current loop iteration.
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
            result = await self._send_with_retries(request, record)
            self._record_success(result, record)
        except Failure as failure:
            self._record_failure(failure, record)
        except Exception as error:  # noqa: BLE001 - an error of one request must not lose the records of the others
            self._record_failure(internal_failure(error), record)
        finally:
            if record.failure == CANCELLED:
                record.done_s = self.now_s
            self.in_flight -= 1
            self.records.append(record)

    async def _send_with_retries(self, request: LoadRequest, record: Record) -> GenerationResult:
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

    def _record_failure(self, failure: Failure, record: Record) -> None:
        record.failure, record.message, record.done_s = failure.kind, failure.message, self.now_s

    def _record_success(self, result: GenerationResult, record: Record) -> None:
        record.failure = ""
        record.done_s = result.done_s - self._began_s
        record.queue_s, record.compute_s = result.queue_s, result.compute_s
        record.stages_s, record.peak_memory_mb = result.stages_s, result.peak_memory_mb
        record.previews = len(result.previews_s)
        if result.previews_s:
            record.first_preview_s = result.previews_s[0] - self._began_s
        if self.checker is not None:
            self.checker.put(record, result)
