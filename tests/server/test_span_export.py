"""The export of spans: a collector that is down, slow or hostile costs spans and nothing else."""

import asyncio
import socket

import pytest
from prometheus_client import CollectorRegistry

from fakes.live_server import eventually
from fakes.noting_log import NotingLog
from fakes.otlp_collector import OtlpCollector
from safelight.server.span_export import ExportLimits, SpanExport


class Exporting:
    """An export to `url`, and what it counts and logs."""

    def __init__(self, url, **limits):
        self.registry = CollectorRegistry()
        self.log = NotingLog()
        chosen = ExportLimits(**{"every_s": 0.01, "within_s": 1.0, "flush_s": 0.2} | limits)
        self.export = SpanExport(url, registry=self.registry, log=self.log, limits=chosen)
        self._tracer = self.export.provider.get_tracer("test")

    def span(self, count=1):
        for _ in range(count):
            self._tracer.start_span("x").end()

    def count(self, result):
        return self.registry.get_sample_value("safelight_spans_total", {"result": result})

    def close(self):
        asyncio.run(self.export.close())

    def events(self):
        return [event for _, event, _ in self.log.entries]


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_what_waits_is_sent_at_the_end():
    with OtlpCollector() as collector:
        exporting = Exporting(collector.url, every_s=60, flush_s=20)
        exporting.span(3)
        exporting.close()
        assert (len(collector.spans), exporting.count("exported"), exporting.events()) == (3, 3, [])


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_counted_and_logged_once_and_so_is_recovery(status):
    with OtlpCollector(status=status) as collector:
        exporting = Exporting(collector.url)
        for count in (1, 2):
            exporting.span()
            eventually(lambda count=count: exporting.count("failed") == count)
        collector.status = 200
        exporting.span()
        eventually(lambda: exporting.count("exported") == 1)
        exporting.close()
        assert exporting.events() == ["spans are lost", "spans are sent again"]


def test_a_collector_that_is_down_costs_its_spans(closed_port):
    exporting = Exporting(f"http://127.0.0.1:{closed_port}/v1/traces", within_s=0.1)
    exporting.span()
    eventually(lambda: exporting.count("failed") == 1)
    exporting.close()
    assert exporting.events() == ["spans are lost"]


def test_while_a_collector_hangs_a_bounded_number_waits_and_the_rest_is_dropped():
    with OtlpCollector() as collector:
        collector.gate.clear()
        exporting = Exporting(collector.url, max_waiting=4, within_s=20)
        exporting.span()
        eventually(lambda: collector.requests)
        exporting.span(10)
        assert exporting.count("dropped") == 7
        exporting.close()
        assert exporting.log.facts("spans are lost at the end") == [{"spans": 4}]


def test_an_address_without_a_host_ends_nothing():
    exporting = Exporting("http://no-such-host.invalid/v1/traces", within_s=0.1)
    exporting.span()
    eventually(lambda: exporting.count("failed") == 1)
    exporting.close()
