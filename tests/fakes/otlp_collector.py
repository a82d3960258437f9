"""An OpenTelemetry collector: takes traces by OTLP over HTTP, and shows them to the test."""

import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ERROR = 2


@dataclass(frozen=True, kw_only=True)
class TakenSpan:
    """One span; ids are hexadecimal, times in seconds."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    kind: int
    start_s: float
    end_s: float
    attributes: dict = field(default_factory=dict)
    is_error: bool = False
    message: str = ""


class OtlpCollector:
    """Listens within a `with`; answers with `status`, once `gate` is open."""

    def __init__(self, *, status=200):
        self.status = status
        self.gate = threading.Event()
        self.gate.set()
        self.spans = []
        self.resources = []
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self):
        return f"{self.base_url}/v1/traces"

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def below(self, parent):
        """The children of a span in order of their beginning."""
        children = [span for span in self.spans if span.parent_id == parent.span_id]
        return sorted(children, key=lambda span: (span.start_s, span.end_s))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests += 1
                collector.gate.wait(30)
                if collector.status == 200:
                    collector._take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def _take(self, body):
        for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_values(traced.resource.attributes))
            self.spans += [_taken(span) for scope in traced.scope_spans for span in scope.spans]


def _taken(span):
    return TakenSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        kind=span.kind,
        start_s=span.start_time_unix_nano / 1e9,
        end_s=span.end_time_unix_nano / 1e9,
        attributes=_values(span.attributes),
        is_error=span.status.code == ERROR,
        message=span.status.message,
    )


def _values(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
