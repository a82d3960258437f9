"""Prometheus metrics of connections and of the log, read from their owners at each scrape."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from safelight.server.connections.ledger import ConnectionLedger

CUT_REASONS = (
    "evicted_closing",
    "evicted_idle",
    "evicted_silent",
    "evicted_uploading",
    "header_timeout",
    "idle_timeout",
    "refused",
    "write_timeout",
)


REFUSAL_CODES = (
    "bad_host",
    "bad_http",
    "bad_http_version",
    "bad_target",
    "bad_transfer_encoding",
    "body_framing_too_large",
    "header_too_large",
    "header_too_slow",
    "method_not_allowed",
    "target_too_long",
    "too_many_connections",
    "too_many_headers",
)


class ConnectionMetrics(Collector):
    """Collects what a ledger counts."""

    def __init__(self, ledger: ConnectionLedger, *, lost_lines: Callable[[], int]) -> None:
        self._ledger = ledger
        self._lost_lines = lost_lines

    def collect(self) -> Iterator[Metric]:
        """Return the current numbers."""
        ledger = self._ledger
        yield GaugeMetricFamily("safelight_connections_open", "Open connections.", value=ledger.open_count)
        yield GaugeMetricFamily(
            "safelight_connections_busy", "Connections with requests that are not answered.", value=ledger.busy_count
        )
        yield GaugeMetricFamily(
            "safelight_connections_limit", "Connections that may be open.", value=ledger.limits.max_connections
        )
        cut = {reason: ledger.cut[reason] for reason in CUT_REASONS}
        yield _counter("safelight_connections_cut", "Connections that the server has ended, by reason.", "reason", cut)
        yield _counter(
            "safelight_requests_refused_early",
            "Requests refused before anything else read them, by code of the error.",
            "code",
            {code: ledger.refused[code] for code in REFUSAL_CODES},
        )
        yield CounterMetricFamily(
            "safelight_log_lines_lost", "Log lines lost since nobody reads the log.", value=self._lost_lines()
        )


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
