"""Traces of requests by OpenTelemetry: names and attributes follow its conventions for HTTP and generative AI.

    POST /v1/images/generations            the HTTP request, below the client's span if it sends `traceparent`
    ├── picture                            one for each picture, whatever has become of it
    │   ├── generate_content shapes-small  a stage of its route
    │   │   ├── queue
    │   │   └── compute
    │   └── generate_content shapes-large
    │       ├── queue
    │       └── compute
    └── encode                             the picture file

No attribute has a prompt, a message of an error or a name that only the client knows, except the path.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers
from starlette.types import Scope

from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.version import __version__
from safelight.server.http_metrics import QUIET_PATHS
from safelight.server.logs import Log
from safelight.server.span_export import SpanExport
from safelight.server.spans import NoSpan, RequestSpan

UNTRACED_PATHS: Final = QUIET_PATHS | {"/v1/queue"}

OPERATION: Final = "generate_content"
"""The convention's name for generating anything but text."""

_NS = 1_000_000_000
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelSpans:
    """Records spans, and sends them in the background."""

    def __init__(
        self, url: str, *, registry: CollectorRegistry, log: Log, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._log = log
        self._export = SpanExport(url, registry=registry, log=log)
        self._tracer = self._export.provider.get_tracer("safelight", __version__)
        self._now_ns = now_ns

    @contextmanager
    def request(self, scope: Scope, request_id: str) -> Iterator[RequestSpan]:
        """Record one HTTP request within a `with`, below the client's span."""
        if scope["path"] in UNTRACED_PATHS:
            yield NoSpan()
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with self._tracer.start_as_current_span(
            method,
            context=_client_context(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "url.path": scope["path"],
                "url.scheme": scope.get("scheme", "http"),
                "safelight.http_request.id": request_id,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _OtelRequestSpan(span, method)

    def ended(self, outcome: Outcome) -> None:
        """Record a picture that has ended just now."""
        try:
            self._record_picture(outcome)
        except Exception:  # noqa: BLE001 - a mistake in a trace costs the trace, never the picture
            self._log.exception("spans cannot be made", id=outcome.request.id)

    def _record_picture(self, outcome: Outcome) -> None:
        end_ns = self._now_ns()
        start_ns = end_ns - round(outcome.total_s * _NS)
        span = self._tracer.start_span("picture", attributes=_picture_attributes(outcome), start_time=start_ns)
        within = set_span_in_context(span)
        for number, stage in enumerate(outcome.stages):
            stage_end_ns = min(end_ns, start_ns + round(stage.total_s * _NS))
            has_ended = number < len(outcome.stages) - 1 or outcome.status == "finished"
            _record_stage(
                self._tracer,
                stage,
                within,
                period=(start_ns, stage_end_ns),
                attributes=_stage_attributes(outcome, number),
                reason="" if has_ended else outcome.reason,
            )
            start_ns = stage_end_ns
        if outcome.status != "finished":
            _mark_failed(span, outcome.reason)
        span.end(end_ns)

    def encoding(self, output_format: str) -> AbstractContextManager[object]:
        """Record the encoding of a picture file within a `with`."""
        return self._tracer.start_as_current_span(
            "encode",
            attributes={"safelight.output_format": output_format},
            record_exception=False,
            set_status_on_exception=False,
        )

    async def close(self) -> None:
        """Send what has been recorded, within a bounded time."""
        await self._export.close()


class _OtelRequestSpan:
    """The span of one HTTP request."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    @property
    def trace_id(self) -> str | None:
        context = self._span.get_span_context()
        return None if context == INVALID_SPAN_CONTEXT else f"{context.trace_id:032x}"

    def answered(self, *, route: str | None, status: int, code: str | None) -> None:
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            _mark_failed(self._span, code or str(status))


def _record_stage(
    tracer: Tracer,
    stage: StageOutcome,
    within: Context,
    *,
    period: tuple[int, int],
    attributes: Mapping[str, AttributeValue],
    reason: str,
) -> None:
    """Record one stage with what it waited and what it ran."""
    start_ns, end_ns = period
    span = tracer.start_span(
        f"{OPERATION} {stage.level.model}", context=within, attributes=attributes, start_time=start_ns
    )
    inside = set_span_in_context(span)
    began_ns = min(end_ns, start_ns + round(stage.queue_s * _NS))
    tracer.start_span("queue", context=inside, start_time=start_ns).end(began_ns)
    if began_ns < end_ns:
        worked = {"safelight.compute_s": stage.compute_s}
        tracer.start_span("compute", context=inside, attributes=worked, start_time=began_ns).end(end_ns)
    if reason:
        _mark_failed(span, reason)
    span.end(end_ns)


def _picture_attributes(outcome: Outcome) -> Mapping[str, AttributeValue]:
    request = outcome.request
    known: Mapping[str, AttributeValue | None] = {
        "safelight.picture.id": request.id,
        "safelight.picture.status": outcome.status,
        "safelight.tenant": request.tenant or None,
        "safelight.width": request.width,
        "safelight.height": request.height,
        "safelight.adapters": len(request.adapters),
        "safelight.deadline_s": request.deadline_s,
        "safelight.met_deadline": None if request.deadline_s is None else outcome.met_deadline,
        "safelight.retries": outcome.retries,
        "safelight.pauses": outcome.pauses,
    }
    return {name: value for name, value in known.items() if value is not None}


def _stage_attributes(outcome: Outcome, number: int) -> Mapping[str, AttributeValue]:
    stage, level = outcome.stages[number], outcome.stages[number].level
    known: Mapping[str, AttributeValue | None] = {
        "gen_ai.operation.name": OPERATION,
        "gen_ai.provider.name": "safelight",
        "gen_ai.output.type": "image",
        "gen_ai.request.model": level.model,
        "gen_ai.request.seed": outcome.request.seed,
        "safelight.stage": number,
        "safelight.steps": level.steps,
        "safelight.sampler": level.sampler,
        "safelight.guidance_scale": level.guidance_scale,
        "safelight.worker": stage.worker,
        "safelight.score": stage.score,
        "safelight.retries": stage.retries,
        "safelight.pauses": stage.pauses,
    }
    return {name: value for name, value in known.items() if value is not None}


def _mark_failed(span: Span, reason: str) -> None:
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR, reason))


def _client_context(headers: Headers) -> Context:
    """Return the context that the client sent, or a new one; a repeated `traceparent` is none (W3C, section 3.2)."""
    parents = headers.getlist("traceparent")
    if len(parents) != 1:
        return Context()
    carrier = {"traceparent": parents[0], "tracestate": ",".join(headers.getlist("tracestate"))}
    return _PROPAGATOR.extract(carrier, Context())
