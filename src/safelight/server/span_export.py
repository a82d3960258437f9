"""Sends spans to an OTLP collector, from a thread of its own: one that is down or slow costs spans and nothing else."""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, Counter

from safelight.core.log import Log
from safelight.core.version import __version__

BATCH_SPANS: Final = 512
MOST_ATTRIBUTE_CHARACTERS: Final = 256


@dataclass(frozen=True, kw_only=True)
class ExportLimits:
    """What an export may hold and how long it may take.

    Attributes:
        max_waiting: spans that wait for the collector; further ones are dropped.
        every_s: time between two batches.
        within_s: how long one batch may take, repetitions included.
        flush_s: how long the last batches may take when the server ends.
    """

    max_waiting: int = 4096
    every_s: float = 2.0
    within_s: float = 5.0
    flush_s: float = 3.0


class SpanExport:
    """A tracer provider with bounded memory, and the metric `safelight_spans_total`."""

    def __init__(self, url: str, *, registry: CollectorRegistry, log: Log, limits: ExportLimits | None = None) -> None:
        """Start the thread; `url` is the collector's full URL for traces."""
        spans = Counter("safelight_spans", "Spans of traces, by what became of them.", ["result"], registry=registry)
        self._limits = limits = limits or ExportLimits()
        exporter = OTLPSpanExporter(url, timeout=limits.within_s)
        self._counting = _CountingExporter(exporter, spans, log, max_waiting=limits.max_waiting)
        self._log = log
        self.provider = TracerProvider(
            resource=_resource(),
            span_limits=SpanLimits(max_attribute_length=MOST_ATTRIBUTE_CHARACTERS),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(_BoundedBatches(self._counting, limits))

    async def close(self) -> None:
        """Send what waits, for a bounded time."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self.provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(sent.set)

        # A daemon thread, unlike the loop's own threads, does not keep the process from ending.
        threading.Thread(target=flush, name="flush spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.flush_s):
                await sent.wait()
        if waiting := self._counting.waiting:
            self._log.warning("spans are lost at the end", spans=waiting)


class _CountingExporter(SpanExporter):
    """Counts what another exporter sends, and the spans that wait for it."""

    def __init__(self, exporter: SpanExporter, spans: Counter, log: Log, *, max_waiting: int) -> None:
        self._exporter = exporter
        self._exported, self._failed, self._dropped = (
            spans.labels(result) for result in ("exported", "failed", "dropped")
        )
        self._log = log
        self._lock = threading.Lock()
        self._is_failing = False
        self._max_waiting = max_waiting
        self.waiting = 0

    def admit(self) -> bool:
        """Return whether one more span may wait; count it as dropped if not."""
        with self._lock:
            if self.waiting < self._max_waiting:
                self.waiting += 1
                return True
        self._dropped.inc()
        return False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - it costs this batch, and says so below
            self._log.warning("spans cannot be sent", reason=f"{type(error).__name__}: {error}")
            result = SpanExportResult.FAILURE
        with self._lock:
            self.waiting -= len(spans)
        has_failed = result is not SpanExportResult.SUCCESS
        (self._failed if has_failed else self._exported).inc(len(spans))
        if has_failed != self._is_failing:
            self._is_failing = has_failed
            if has_failed:
                self._log.warning("spans are lost", spans=len(spans))
            else:
                self._log.info("spans are sent again")
        return result

    def shutdown(self) -> None:
        """End the other exporter."""
        self._exporter.shutdown()


class _BoundedBatches(SpanProcessor):
    """Passes spans on in batches, as long as not too many wait."""

    def __init__(self, exporter: _CountingExporter, limits: ExportLimits) -> None:
        self._exporter = exporter
        self._batches = BatchSpanProcessor(
            exporter,
            max_queue_size=limits.max_waiting,
            max_export_batch_size=min(BATCH_SPANS, limits.max_waiting),
            schedule_delay_millis=limits.every_s * 1000,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on one span."""
        if span.context is not None and span.context.trace_flags.sampled and self._exporter.admit():
            self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what waits, and end the thread."""
        self._batches.shutdown()  # type: ignore[no-untyped-call] # it has no annotations

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits."""
        return self._batches.force_flush(timeout_millis)


def _resource() -> Resource:
    """Return what describes this process; the standard variables `OTEL_SERVICE_NAME` and so on go before ours."""
    ours = Resource({"service.name": "safelight", "service.version": __version__})
    return Resource.create({}).merge(ours).merge(OTELResourceDetector().detect())
