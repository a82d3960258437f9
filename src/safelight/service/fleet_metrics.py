"""Metrics of the fleet's present state, read at each scrape."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterKind
from safelight.core.model import ModelSpec


class FleetCollector(Collector):
    """Reads a controller; `now_s` is the time on its clock. No label has a value that a client can choose freely."""

    def __init__(self, controller: FleetController, now_s: Callable[[], float]) -> None:
        self._controller = controller
        self._now_s = now_s

    def collect(self) -> Iterable[Metric]:
        """Yield the present values."""
        controller = self._controller
        yield _gauge("safelight_ready", "1 while /health/ready answers 200, else 0.", controller.unreadiness is None)
        oldest_s = controller.oldest_waiting_s
        yield _gauge(
            "safelight_oldest_waiting_seconds",
            "Time since the arrival of the oldest picture that waits for a worker; 0 if none waits.",
            0.0 if oldest_s is None else max(0.0, self._now_s() - oldest_s),
        )
        yield _models(controller.models.values())
        yield self._adapters()

    def _adapters(self) -> Metric:
        kinds = Counter(adapter.spec.kind for adapter in self._controller.adapters)
        family = GaugeMetricFamily("safelight_adapters", "Adapters that requests may name.", labels=["kind"])
        for kind in get_args(AdapterKind):
            family.add_metric([kind], kinds[kind])
        return family


def _models(models: Iterable[ModelSpec]) -> Metric:
    family = GaugeMetricFamily("safelight_model_info", "1 for each served model.", labels=["model", "family"])
    for model in models:
        family.add_metric([model.name, model.family], 1)
    return family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)
